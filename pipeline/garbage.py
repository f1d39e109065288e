"""The store's garbage: what no bundle in service needs and nobody has asked for in a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pipeline.errors import InputError
from pipeline.files import Kept
from pipeline.service import kept_alive
from pipeline.store import Store

LEAST = timedelta(days=7)
"""Nothing younger is ever garbage: a step's files lie in the store before its record does, and a
run that was started so long ago may still want what its first steps made."""


@dataclass(frozen=True)
class Garbage:
    """What can go.

    Attributes:
        records: Of steps; without one the step is done again when it is asked for.
        objects: Files that nothing refers to.
        checkpoints: Of steps that nobody went on with.
    """

    records: tuple[Kept, ...]
    objects: tuple[Kept, ...]
    checkpoints: tuple[Kept, ...] = ()

    @property
    def size(self) -> int:
        """Of the files, in bytes."""
        return sum(kept.size for kept in (*self.objects, *self.checkpoints))


def find_garbage(store: Store, age: timedelta) -> Garbage:
    """What is older than `age`, and no bundle that is or was in service refers to.

    A step's record goes when it is that old, unless such a bundle has any of its files; a file goes
    when no record that stays has it.

    Raises:
        InputError: When `age` is so short that a step at work could lose its files.
    """
    if age < LEAST:
        raise InputError(f"garbage must be {LEAST.days} days old at least")
    before = datetime.now(timezone.utc) - age
    in_service = kept_alive(store)
    alive, records = set(in_service), []
    for kept, record in store.records():
        names = {artifact.sha256 for artifact in record.artifacts.values()}
        if kept.modified < before and not names & in_service:
            records.append(kept)
        else:
            alive |= names
    objects = [
        kept
        for kept in store.objects()
        if kept.modified < before and kept.place.rsplit("/", 1)[1] not in alive
    ]
    checkpoints = [kept for kept in store.checkpoints() if kept.modified < before]
    return Garbage(tuple(records), tuple(objects), tuple(checkpoints))


def collect(store: Store, garbage: Garbage) -> Garbage:
    """Delete it: records first, so that none is left that speaks of a file that is gone.

    Returns:
        What is gone; what someone wrote again meanwhile stays.
    """
    kinds = (garbage.records, garbage.objects, garbage.checkpoints)
    return Garbage(*(tuple(kept for kept in kind if store.delete(kept)) for kind in kinds))
