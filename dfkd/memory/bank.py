"""A ring buffer of a few batches; one is added every few rounds (MB-DFKD, Binici et al. 2022)."""

from typing import Any

import torch

from dfkd.composition import BatchBank, Composition
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.memory.protocol import MemoryContext, MemoryDefaults


def build(recipe: Composition, context: MemoryContext) -> "BankMemory":
    """Return the memory of a recipe.

    The interval between stored batches is scaled with the length of the run.
    """
    assert isinstance(recipe.memory, BatchBank)
    every = max(1, round(recipe.memory.every * context.stretch))
    return BankMemory(recipe.memory.capacity, recipe.replayed, every)


class BankMemory(MemoryDefaults):
    """A ring buffer of the last `capacity` small batches.

    Args:
        capacity: Largest number of batches.
        size: Number of images in a stored batch. They are the first images of the round's last new
            batch.
        every: Number of rounds between two stored batches.
    """

    def __init__(self, capacity: int, size: int, every: int) -> None:
        self.capacity, self.size, self.every = capacity, size, every
        self.batches: list[LabelledBatch] = []
        self._marked: list[LabelledBatch] = []
        self._round = 0

    def end_round(self, last: LabelledBatch | None) -> None:
        """Store the first images of the last new batch, once every `every` rounds."""
        if last is not None and self._round % self.every == 0:
            images, logits = last.images[: self.size].clone(), last.logits[: self.size].clone()
            self.batches = [*self.batches, LabelledBatch(images, logits)][-self.capacity :]
        self._round += 1

    def mark_healthy(self) -> None:
        """Record that the batches stored so far are from a healthy run."""
        self._marked = list(self.batches)

    def drop_unmarked(self) -> None:
        """Restore the batches that were stored at the last `mark_healthy`."""
        self.batches = list(self._marked)

    def sample(self, count: int, rng: torch.Generator) -> LabelledBatch | None:
        """Return a random stored batch; None if there is none yet."""
        if not self.batches:
            return None
        return self.batches[int(torch.randint(len(self.batches), (1,), generator=rng))]

    def state_dict(self) -> dict[str, Any]:
        """Return the stored batches and the number of rounds for a checkpoint."""
        stored = {
            name: [(b.images, b.logits) for b in batches]
            for name, batches in (("batches", self.batches), ("marked", self._marked))
        }
        return {"round": self._round, **stored}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore a state, with the images on `device`."""
        self._round = state["round"]
        self.batches, self._marked = (
            [LabelledBatch(i.to(device), t.to(device)) for i, t in state[name]]
            for name in ("batches", "marked")
        )
