"""What a finished step leaves in the store, sealed so that what has changed since is noticed."""

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
        name: Its file name in a bundle, e.g. "student.int8.onnx".
        sha256: Of its content.
        size: In bytes.

    Raises:
        InputError: When the name is none of a file, or the digest none: they come from records and
            manifests, and become places on a disk.
    """

    name: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not all(isinstance(said, str) for said in (self.name, self.sha256)):
            raise InputError(f"artifact {self.name!r}: {self.sha256!r} is no sha256")
        if "/" in self.name or not is_inside(Path(), self.name):
            raise InputError(f"artifact {self.name!r}: is no file's name")
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise InputError(f"artifact {self.name}: {self.sha256!r} is no sha256")


@dataclass(frozen=True)
class StepRecord:
    """What a finished step left behind.

    Attributes:
        artifacts: By role, e.g. "student".
        notes: Figures worth showing, losses and timings, that enter no key and no bundle's digest.
    """

    artifacts: dict[str, Artifact]
    notes: dict[str, Any]


def sealed(record: StepRecord, place: str) -> dict[str, Any]:
    """The JSON of a record, with the sha256 of it and of where it lies.

    The seal keeps out what was damaged, cut, edited by hand or copied to another place, before a
    step reads one file for another. It is no signature: who means harm can seal too, and who may
    write to a store is trusted with what its runs come to.
    """
    document: dict[str, Any] = json.loads(json.dumps(asdict(record)))
    return {**document, "seal": digest([place, document])}


def unsealed(content: bytes, place: str) -> StepRecord:
    """The record that `sealed` wrote for this place.

    Raises:
        InputError: When it is another, or was changed.
    """
    try:
        document = json.loads(content)
        if document.pop("seal") != digest([place, document]):
            raise ValueError("is not what was written")
        artifacts = {role: Artifact(**a) for role, a in document["artifacts"].items()}
        return StepRecord(artifacts, {**document["notes"]})
    except (*PARSE_ERRORS, InputError):
        raise InputError(f"store: {place} is damaged; delete it and run again") from None


def digest(value: Any) -> str:
    """The sha256 of a JSON value, in hex, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
