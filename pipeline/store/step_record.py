"""The record of a finished step, with a checksum that shows damage."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from base.errors import InputError
from base.untrusted_files import PARSE_ERRORS, is_inside


@dataclass(frozen=True)
class Artifact:
    """A file in the store.

    Attributes:
        name: Its file name in a bundle, for example "student.int8.onnx".
        sha256: The digest of its content.
        size: Its size in bytes.

    Raises:
        InputError: If the name is not a file name, or the digest not a sha256. They come from
            records and manifests, and become paths.
    """

    name: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.name, self.sha256)):
            raise InputError(f"artifact {self.name!r}: {self.sha256!r} is not a sha256")
        if "/" in self.name or not is_inside(Path(), self.name):
            raise InputError(f"artifact {self.name!r}: not a file name")
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise InputError(f"artifact {self.name}: {self.sha256!r} is not a sha256")


@dataclass(frozen=True)
class StepRecord:
    """What a finished step made.

    Attributes:
        artifacts: Its files by the role's name in the record, for example "student".
        notes: JSON for reports, such as losses and seconds; excluded from every key and digest.
    """

    artifacts: dict[str, Artifact]
    notes: dict[str, Any]


def sealed(record: StepRecord, place: str) -> dict[str, Any]:
    """Return the JSON of a record with a checksum over it and its place in the store.

    The checksum shows damage, edits and copies to another place, so that no step reads the wrong
    file. It is not a signature: anyone with write access to the store can alter results.
    """
    document: dict[str, Any] = json.loads(json.dumps(asdict(record)))
    return {**document, "seal": digest([place, document])}


def unsealed(content: bytes, place: str) -> StepRecord:
    """Return the record that `sealed` wrote for a place.

    Raises:
        InputError: If the content was changed, or belongs to another place.
    """
    try:
        document = json.loads(content)
        if document.pop("seal") != digest([place, document]):
            raise ValueError("the checksum differs")
        artifacts = {role: Artifact(**a) for role, a in document["artifacts"].items()}
        return StepRecord(artifacts, {**document["notes"]})
    except (*PARSE_ERRORS, InputError):
        raise InputError(f"store: {place} is damaged; delete it and run again") from None


def digest(value: Any) -> str:
    """Return the sha256 of a JSON value in hex, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
