"""Deleting stored files that no release needs and no run has used for a while.

There are no locks, since an object store has none. Instead, a file's age decides whether it may be
deleted, so that the collector does not disturb writers and readers. `put` and `recall` refresh the
timestamp of any file that they find older than `store.FRESH`; `recall` then checks again that all
files of its record exist.

- A writer stores a step's files, then their record. The files are younger than FRESH at that time,
  and no file younger than MINIMUM_AGE is deleted.
- A reader recalls a step and fetches its files later. It has MINIMUM_AGE - FRESH for its whole run,
  including the time that it waits for devices.
- A collector lists garbage and deletes it later. It skips every file that was written in between,
  even if the file's record is gone.
- A bundle may be released while garbage is listed: its files were stored or refreshed before its
  release, so they are too young to be garbage.
- A second or interrupted collector does no harm: a missing file is ignored, and a record with a
  missing file is not reused.

One gap remains: the time of one request, between the last check of a file and its deletion. A run
that refreshes an old file in just that moment fails with "is missing"; its next try repeats the
step. The clocks of collector and store may differ by hours, not by days.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from base.errors import InputError
from pipeline.store.storage import StoredFile
from pipeline.store.store import Store

MINIMUM_AGE = timedelta(days=7)
"""The age below which nothing is garbage. A run may take almost as long, and its last steps need
files of its first ones."""


@dataclass(frozen=True)
class Garbage:
    """Files that can be deleted.

    Attributes:
        records: Records of steps. A step without its record is repeated when needed.
        objects: Files that no remaining record or release refers to.
        checkpoints: Files of unfinished steps.
    """

    records: tuple[StoredFile, ...]
    objects: tuple[StoredFile, ...]
    checkpoints: tuple[StoredFile, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The size of objects and checkpoints together."""
        return sum(file.size_bytes for file in (*self.objects, *self.checkpoints))


def find_garbage(store: Store, age: timedelta, needed: set[str]) -> Garbage:
    """Return what is older than `age` and not needed.

    A record is garbage if it is that old and none of its files is needed; an object if no
    remaining record refers to it.

    Args:
        store: The store.
        age: At least MINIMUM_AGE.
        needed: The sha256 of every object that a release needs, read just before.

    Raises:
        InputError: If `age` is so short that a running step could lose its files.
    """
    if age < MINIMUM_AGE:
        raise InputError(
            f"garbage collection: {age.days} days is too short; use at least {MINIMUM_AGE.days}"
        )
    before = datetime.now(timezone.utc) - age
    referenced, records = set(needed), []
    for file, record in store.records():
        names = {artifact.sha256 for artifact in record.artifacts.values()}
        if file.modified < before and not names & needed:
            records.append(file)
        else:
            referenced |= names
    objects = [
        file
        for file in store.objects()
        if file.modified < before and file.place.rsplit("/", 1)[1] not in referenced
    ]
    checkpoints = [file for file in store.checkpoints() if file.modified < before]
    return Garbage(tuple(records), tuple(objects), tuple(checkpoints))


def collect(store: Store, garbage: Garbage) -> Garbage:
    """Delete garbage: records first, so that no record refers to a missing file.

    Returns:
        What was deleted; files that were written in between are not.
    """
    kinds = (garbage.records, garbage.objects, garbage.checkpoints)
    return Garbage(*(tuple(file for file in kind if store.delete(file)) for kind in kinds))
