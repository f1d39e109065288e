"""The store: files under the digest of their content, finished steps under their keys.

Steps exchange data only through the store. Its root is a folder or any fsspec URL.

    objects/ab/abcdef...            a file, under its sha256
    steps/<step>/<key>.json         the record of a finished step
    checkpoints/<step>-<key>/...    files of an unfinished step
    logs/<kind>/<name>/<time>.json  one file per event, so that no writer overwrites another's
"""

import contextlib
import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from base.durable_files import replace_durably
from base.errors import InputError
from base.file_digest import file_digest
from base.full_disk import temporary_folder
from base.untrusted_files import PARSE_ERRORS
from pipeline.store.step_record import Artifact, StepRecord, sealed, unsealed
from pipeline.store.step_workspace import Workspace
from pipeline.store.storage import Files, StoredFile

STAMP = "%Y%m%dT%H%M%S.%fZ"
"""The time in the name of a log entry."""

FRESH = timedelta(days=1)
"""A file older than this has its timestamp refreshed when it is used, so that garbage collection
does not delete it."""


class Store:
    """A content-addressed store.

    Args:
        root: A folder or an fsspec URL.

    Attributes:
        url: The root.
        local: The root's path if it is a folder on this machine, else None.

    Raises:
        InputError: If the root cannot be written, or its URL contains a password.
        StoreUnreachableError: If the store does not answer. All methods raise it too.
    """

    def __init__(self, root: str) -> None:
        self.url = root
        self._files = Files(root)
        self.local = self._files.local

    def put(self, path: Path, name: str) -> Artifact:
        """Store a file under the digest of its content, unless it is there already.

        Args:
            path: The file.
            name: The artifact's file name.
        """
        artifact = Artifact(name, file_digest(path), path.stat().st_size)
        place = _object(artifact.sha256)
        with contextlib.suppress(FileNotFoundError):
            if _age(self._files.modified(place)) <= FRESH:
                return artifact
        self._files.write(place, path)
        return artifact

    def get(self, artifact: Artifact, folder: Path) -> Path:
        """Copy an artifact into a folder, under its name, and check its digest.

        Raises:
            InputError: If it is missing or damaged.
        """
        target = folder / artifact.name
        if target.exists() and file_digest(target) == artifact.sha256:
            return target
        beside = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
        try:
            self._fetch(artifact, beside)
            if file_digest(beside) != artifact.sha256:
                raise InputError(
                    f"store {self.url}: {artifact.name} ({artifact.sha256[:12]}) is damaged; "
                    "delete that object and the steps folder, and run again"
                )
            replace_durably(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        return target

    def read(self, sha256: str) -> bytes:
        """Return the content of an artifact.

        Raises:
            InputError: If it is missing or damaged.
        """
        with temporary_folder() as folder:
            return self.get(Artifact("content", sha256, 0), folder).read_bytes()

    def record(self, step: str, key: str, record: StepRecord) -> None:
        """Store the record of a finished step. From now on `recall` finds it."""
        self._files.write_json(_step(step, key), sealed(record, _step(step, key)))

    def recall(self, step: str, key: str) -> StepRecord | None:
        """Return the record of a finished step, or None if it or one of its files is missing.

        The timestamps of old files are refreshed, so that garbage collection does not delete them
        during the run.

        Raises:
            InputError: If the record is damaged.
        """
        place = _step(step, key)
        try:
            record = self._record(place)
            files = [_object(artifact.sha256) for artifact in record.artifacts.values()]
            old = [file for file in (*files, place) if _age(self._files.modified(file)) > FRESH]
            for file in old:
                self._files.refresh(file)
        except FileNotFoundError:
            return None
        # A garbage collection that was about to delete an old file may have done so.
        if old and not all(map(self._files.exists, files)):
            return None
        return record

    def append(self, log: str, entry: dict[str, Any]) -> None:
        """Add an entry to a log, as its newest.

        Args:
            log: KIND/NAME.
            entry: JSON; the entry's time is added as `when`.

        Raises:
            InputError: If the log's name is invalid.
        """
        now, folder = datetime.now(timezone.utc), _log(log)
        names = [place.rsplit("/", 1)[1] for place in self._files.list_folder(folder)]
        if names and (newest := _stamped(names[-1])) >= now:
            # The newest entry came from a machine whose clock is ahead.
            now = newest + timedelta(microseconds=1)
        stamp = now.strftime(STAMP)
        place = f"{folder}/{stamp}-{uuid.uuid4().hex[:8]}.json"
        self._files.write_json(place, {**entry, "when": stamp})

    def entries(self, log: str) -> list[dict[str, Any]]:
        """Return all entries of a log, the oldest first, each with its time as `when`.

        Raises:
            InputError: If an entry is damaged, or the log's name is invalid.
        """
        found = []
        for place in self._files.list_folder(_log(log)):
            if place.endswith(".json"):
                try:
                    found.append({**json.loads(self._files.read(place))})
                except PARSE_ERRORS:
                    raise InputError(f"store: {place} is damaged; delete it") from None
        return found

    def logs(self, kind: str) -> list[str]:
        """Return the names of all logs of a kind."""
        return [place.rsplit("/", 1)[1] for place in self._files.list_folder(f"logs/{kind}")]

    def records(self) -> Iterator[tuple[StoredFile, StepRecord]]:
        """Yield the record of every finished step.

        Raises:
            InputError: If a record is damaged.
        """
        for file in self._files.walk("steps"):
            # Another garbage collection may have deleted it since.
            with contextlib.suppress(FileNotFoundError):
                if file.place.endswith(".json"):
                    yield file, self._record(file.place)

    def objects(self) -> Iterator[StoredFile]:
        """Yield every artifact's file, named by its digest, and unfinished files."""
        return self._files.walk("objects")

    def delete(self, file: StoredFile) -> bool:
        """Delete a file unless it was written again. Return whether it was deleted."""
        try:
            modified = self._files.modified(file.place)
        except FileNotFoundError:
            return False
        # Some stores list times in milliseconds and report single ones in seconds.
        if modified - file.modified >= timedelta(seconds=1):
            return False
        self._files.delete(file.place)
        return True

    def workspace(self, step: str, key: str) -> Workspace:
        """Return the files that an unfinished step keeps for its next try."""
        return Workspace(self._files, f"checkpoints/{step}-{key[:16]}")

    def checkpoints(self) -> Iterator[StoredFile]:
        """Yield every file of an unfinished step."""
        return self._files.walk("checkpoints")

    def _record(self, place: str) -> StepRecord:
        return unsealed(self._files.read(place), place)

    def _fetch(self, artifact: Artifact, path: Path) -> None:
        try:
            self._files.fetch(_object(artifact.sha256), path)
        except FileNotFoundError:
            raise InputError(
                f"store {self.url}: {artifact.name} ({artifact.sha256[:12]}) is missing; "
                "run again to repeat the step that made it"
            ) from None


def _stamped(name: str) -> datetime:
    """Return the time in the name of a log entry, or the earliest time if it has none."""
    try:
        return datetime.strptime(name[: len("20260101T000000.000000Z")], STAMP).replace(
            tzinfo=timezone.utc
        )
    except ValueError:
        return datetime.min.replace(tzinfo=timezone.utc)


def _age(modified: datetime) -> timedelta:
    return datetime.now(timezone.utc) - modified


def _object(sha256: str) -> str:
    return f"objects/{sha256[:2]}/{sha256}"


def _log(log: str) -> str:
    if len(log.split("/")) != 2 or {"", ".", ".."} & set(log.split("/")):
        raise InputError(f"{log.partition('/')[2]!r}: not a valid name; use one without slashes")
    return f"logs/{log}"


def _step(step: str, key: str) -> str:
    return f"steps/{step}/{key}.json"
