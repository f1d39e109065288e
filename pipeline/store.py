"""The store: artifacts by the digest of their content, finished steps by that of their inputs.

Nothing passes between steps that does not lie here. Any fsspec URL will do as a root.

    objects/ab/abcdef...            a file, under its sha256
    steps/<step>/<key>.json         what a step made: its artifacts, and notes that no digest covers
"""

import errno
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fsspec

from pipeline.errors import InputError
from targets.durable_files import file_digest, replace_durably


@dataclass(frozen=True)
class Artifact:
    """A file in the store.

    Attributes:
        name: Its file name in a bundle, e.g. "student.int8.onnx".
        sha256: Of its content.
        size: In bytes.
    """

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class StepRecord:
    """What a finished step left behind.

    Attributes:
        artifacts: By role, e.g. "student".
        notes: Figures worth showing, none of which enters any digest: losses, timings.
    """

    artifacts: dict[str, Artifact]
    notes: dict[str, Any]


class StoreUnreachableError(OSError):
    """A store did not answer as one should; another try may find that it does."""


class Store:
    """A content-addressed store.

    Args:
        root: A folder or an fsspec URL.

    Attributes:
        url: The root, as it was given.

    Raises:
        InputError: When the root cannot be written.
        StoreUnreachableError: When it does not answer; so do all methods.
    """

    def __init__(self, root: str) -> None:
        self.url = root
        try:
            self._fs, self._root = fsspec.core.url_to_fs(root)
        except (ImportError, ValueError) as error:
            raise InputError(f"store {root}: cannot be opened ({error})") from None
        self._local = Path(self._root) if "file" in _protocols(self._fs) else None
        try:
            with self._reached():
                self._fs.makedirs(f"{self._root}/objects", exist_ok=True)
        except StoreUnreachableError:
            raise
        except OSError as error:
            why = error.strerror or error
            raise InputError(f"store {root}: cannot be written ({why})") from None

    def put(self, path: Path, name: str) -> Artifact:
        """Take a file in, under the digest of its content; a second time costs nothing."""
        artifact = Artifact(name, file_digest(path), path.stat().st_size)
        place = self._object(artifact.sha256)
        if not self._has(place):
            self._write(place, path)
        return artifact

    def get(self, artifact: Artifact, folder: Path) -> Path:
        """Copy an artifact into a folder, under its name, and check its digest.

        Raises:
            InputError: When it is missing or damaged.
        """
        target = folder / artifact.name
        if target.exists() and file_digest(target) == artifact.sha256:
            return target
        beside = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
        try:
            self._fetch(artifact, beside)
            if file_digest(beside) != artifact.sha256:
                raise InputError(
                    f"store {self._root}: {artifact.name} ({artifact.sha256[:12]}) is damaged; "
                    "delete that object and the steps folder, and run again"
                )
            replace_durably(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        return target

    def record(self, step: str, key: str, record: StepRecord) -> None:
        """Note that a step is finished; only now will `recall` find it."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(asdict(record), file, sort_keys=True)
            file.flush()
            self._write(self._step(step, key), Path(file.name))

    def recall(self, step: str, key: str) -> StepRecord | None:
        """What an earlier run of the same step made, if all of it is still there.

        Raises:
            InputError: When the record of it is damaged.
        """
        try:
            with self._reached():
                text = self._fs.cat_file(self._step(step, key))
            document = json.loads(text)
            artifacts = {role: Artifact(**a) for role, a in document["artifacts"].items()}
            notes = document["notes"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            place = self._step(step, key)
            raise InputError(f"store: {place} is damaged; delete it and run again") from None
        if not all(self._has(self._object(a.sha256)) for a in artifacts.values()):
            return None
        return StepRecord(artifacts, notes)

    def checkpoints(self, step: str, key: str) -> Path:
        """The local folder for an unfinished step's checkpoints; it need not exist."""
        root = self._local or Path(tempfile.gettempdir()) / "datafree-edge"
        return root / "checkpoints" / f"{step}-{key[:16]}"

    def _object(self, sha256: str) -> str:
        return f"{self._root}/objects/{sha256[:2]}/{sha256}"

    def _step(self, step: str, key: str) -> str:
        return f"{self._root}/steps/{step}/{key}.json"

    def _fetch(self, artifact: Artifact, place: Path) -> None:
        place.touch()  # A folder that is missing here is no file that is missing there.
        try:
            with self._reached():
                self._fs.get_file(self._object(artifact.sha256), str(place))
        except FileNotFoundError:
            raise InputError(
                f"store {self._root}: {artifact.name} ({artifact.sha256[:12]}) is gone; "
                "delete the store's steps folder and run again"
            ) from None

    def _has(self, place: str) -> bool:
        with self._reached():
            found: bool = self._fs.exists(place)
        return found

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Whatever a store's own library raises becomes an OSError, as that of a disk is."""
        try:
            yield
        except (OSError, TypeError, AttributeError):
            raise
        except Exception as error:
            raise StoreUnreachableError(errno.EIO, str(error), self.url) from error

    def _write(self, place: str, source: Path) -> None:
        """Whole or not at all: an object store does that by itself, a folder by renaming."""
        with self._reached():
            self._fs.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
            if self._local is None:
                self._fs.put_file(str(source), place)
                return
        beside = Path(f"{place}.{uuid.uuid4().hex}.part")
        try:
            shutil.copyfile(source, beside)
            replace_durably(beside, Path(place))
        finally:
            beside.unlink(missing_ok=True)


def digest(value: Any) -> str:
    """The sha256 of a JSON value, in hex, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
