"""The store's garbage: what no bundle in service needs and nobody has asked for in a while.

There are no locks, as an object store has none; time keeps collector, writers and readers apart.
What a run uses is young: `put` and `recall` make it so whenever it is older than `FRESH`, and
`recall` looks once more whether all is there.

- A writer puts a step's files in, and their record follows: the files are younger than FRESH by
  then, and nothing younger than LEAST is deleted, whoever refers to it.
- A reader recalls a step and fetches its files later: it has LEAST - FRESH for all of its run, the
  waiting for devices too.
- A collector finds garbage and deletes it later: before it deletes a file it looks whether that is
  as old as it was. What someone asked for in between stays, even if its record is gone.
- A bundle comes into service while garbage is looked for: its files were put in before.
- Two collectors, or a killed one: what is gone already is none's fault, and a record of a file that
  is gone is not recalled.

What is left is the time of one request, between that look and the deletion. Who makes a file of
weeks ago young in just that moment, and is done before it ends, fails with "is gone"; run again, it
does the step anew. Clocks of collector and store may differ by hours, not by days.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from base.errors import InputError
from pipeline.releases.release_log import objects_in_use
from pipeline.store.storage import Kept
from pipeline.store.store import Store

LEAST = timedelta(days=7)
"""Nothing younger is ever garbage: a run may take nearly so long, and need at its end what it made
first."""


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
    in_service = objects_in_use(store)
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
        What is gone; what someone put in or asked for meanwhile stays.
    """
    kinds = (garbage.records, garbage.objects, garbage.checkpoints)
    return Garbage(*(tuple(kept for kept in kind if store.delete(kept)) for kind in kinds))
