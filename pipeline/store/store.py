"""The store: artifacts by the digest of their content, finished steps by that of their inputs.

Nothing passes between steps that does not lie here. Any fsspec URL will do as a root.

    objects/ab/abcdef...            a file, under its sha256
    steps/<step>/<key>.json         what a step made: its artifacts, and notes that no key knows
    checkpoints/<step>-<key>/...    what an unfinished step has come to
    logs/<kind>/<name>/<time>.json  what happened, an entry a file: two writers lose nothing
"""

import contextlib
import json
import tempfile
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from base.durable_files import replace_durably
from base.errors import InputError
from base.file_digest import file_digest
from base.untrusted_files import PARSE_ERRORS
from pipeline.store.step_record import Artifact, StepRecord, sealed, unsealed
from pipeline.store.step_workspace import Unfinished
from pipeline.store.storage import Files, Kept

STAMP = "%Y%m%dT%H%M%S.%fZ"

FRESH = timedelta(days=1)
"""A file that is put in or asked for again after so long is made young, so that nobody takes it for
garbage."""


class Store:
    """A content-addressed store.

    Args:
        root: A folder or an fsspec URL.

    Attributes:
        url: The root, as it was given.

    Raises:
        InputError: When the root cannot be written, or its URL contains a password.
        StoreUnreachableError: When it does not answer; so do all methods.
    """

    def __init__(self, root: str) -> None:
        self.url = root
        self._files = Files(root)

    def put(self, path: Path, name: str) -> Artifact:
        """Take a file in, under the digest of its content; a second time costs nothing."""
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
                    f"store {self.url}: {artifact.name} ({artifact.sha256[:12]}) is damaged; "
                    "delete that object and the steps folder, and run again"
                )
            replace_durably(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        return target

    def read(self, sha256: str) -> bytes:
        """The content of an artifact.

        Raises:
            InputError: When it is missing or damaged.
        """
        with tempfile.TemporaryDirectory() as folder:
            return self.get(Artifact("content", sha256, 0), Path(folder)).read_bytes()

    def record(self, step: str, key: str, record: StepRecord) -> None:
        """Note that a step is finished; only now will `recall` find it."""
        self._files.write_json(_step(step, key), sealed(record, _step(step, key)))

    def recall(self, step: str, key: str) -> StepRecord | None:
        """What an earlier run of the same step made, if all of it is still there.

        What is asked for is young again, so that none of it is taken for garbage while a run needs
        it.

        Raises:
            InputError: When the record of it is damaged.
        """
        place = _step(step, key)
        try:
            record = self._record(place)
            files = [_object(artifact.sha256) for artifact in record.artifacts.values()]
            old = [file for file in (*files, place) if _age(self._files.modified(file)) > FRESH]
            for file in old:
                self._files.renew(file)
        except FileNotFoundError:
            return None
        # One that was about to be deleted as garbage may be gone all the same.
        if old and not all(map(self._files.has, files)):
            return None
        return record

    def append(self, log: str, entry: dict[str, Any]) -> None:
        """Add an entry, as the newest, to a log that only grows, KIND/NAME.

        Raises:
            InputError: When it has no such name.
        """
        now, folder = datetime.now(timezone.utc), _log(log)
        names = [place.rsplit("/", 1)[1] for place in self._files.listed(folder)]
        if names and (newest := _stamped(names[-1])) >= now:
            # Its writer's clock is ahead of ours.
            now = newest + timedelta(microseconds=1)
        stamp = now.strftime(STAMP)
        place = f"{folder}/{stamp}-{uuid.uuid4().hex[:8]}.json"
        self._files.write_json(place, {**entry, "when": stamp})

    def entries(self, log: str) -> list[dict[str, Any]]:
        """All entries of a log, each with its time as `when`, the oldest first.

        Raises:
            InputError: When one of them is damaged, or a log cannot be called so.
        """
        found = []
        for place in self._files.listed(_log(log)):
            if place.endswith(".json"):
                try:
                    found.append({**json.loads(self._files.read(place))})
                except PARSE_ERRORS:
                    raise InputError(f"store: {place} is damaged; delete it") from None
        return found

    def logs(self, kind: str) -> list[str]:
        """Names of the logs of a kind."""
        return [place.rsplit("/", 1)[1] for place in self._files.listed(f"logs/{kind}")]

    def records(self) -> Iterator[tuple[Kept, StepRecord]]:
        """Every finished step.

        Raises:
            InputError: When a record is damaged.
        """
        for kept in self._files.below("steps"):
            # Another collector may have deleted it since.
            with contextlib.suppress(FileNotFoundError):
                if kept.place.endswith(".json"):
                    yield kept, self._record(kept.place)

    def objects(self) -> Iterator[Kept]:
        """Every artifact's file, called as its digest, and what was left half."""
        return self._files.below("objects")

    def delete(self, kept: Kept) -> bool:
        """Delete a file, unless it was written again since it was looked at; whether it was."""
        try:
            modified = self._files.modified(kept.place)
        except FileNotFoundError:
            return False
        # Some stores list times to the millisecond and tell them to the second.
        if modified - kept.modified >= timedelta(seconds=1):
            return False
        self._files.delete(kept.place)
        return True

    def unfinished(self, step: str, key: str) -> Unfinished:
        """What earlier tries of a step have come to."""
        return Unfinished(self._files, f"checkpoints/{step}-{key[:16]}")

    def checkpoints(self) -> Iterator[Kept]:
        """Every file of an unfinished step."""
        return self._files.below("checkpoints")

    def _record(self, place: str) -> StepRecord:
        return unsealed(self._files.read(place), place)

    def _fetch(self, artifact: Artifact, path: Path) -> None:
        try:
            self._files.fetch(_object(artifact.sha256), path)
        except FileNotFoundError:
            raise InputError(
                f"store {self.url}: {artifact.name} ({artifact.sha256[:12]}) is gone; "
                "run again, and the step that made it is done anew"
            ) from None


def _stamped(name: str) -> datetime:
    """When an entry of a log was added, by its name; long ago where that says nothing."""
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
        raise InputError(f"{log.partition('/')[2]!r}: is no name")
    return f"logs/{log}"


def _step(step: str, key: str) -> str:
    return f"steps/{step}/{key}.json"
