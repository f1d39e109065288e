"""Replay of whole batches: a short ring, fed now and then (MB-DFKD, Binici et al. 2022)."""

from typing import Any

import torch

from dfkd.memory.labelled_batch import Lesson


class BankMemory:
    """The last `capacity` small batches.

    Args:
        capacity: Batches.
        size: Images of a batch: the first ones of the round's last fresh batch.
        every: Rounds between two batches.
    """

    learns = False
    factor = 1.0

    def __init__(self, capacity: int, size: int, every: int) -> None:
        self.capacity, self.size, self.every = capacity, size, every
        self.batches: list[Lesson] = []
        self._marked: list[Lesson] = []
        self._round = 0

    def remember(self, lesson: Lesson) -> None:
        """Batches are taken at the end of a round."""

    def attend(self, lesson: Lesson, step: int, rng: torch.Generator) -> None:
        """Nothing learns here."""

    def close_round(self, last: Lesson | None) -> None:
        """Every so many rounds, take the first images of the last batch, over the oldest batch."""
        if last is not None and self._round % self.every == 0:
            kept = Lesson(last.images[: self.size].clone(), last.logits[: self.size].clone())
            self.batches = [*self.batches, kept][-self.capacity :]
        self._round += 1

    def mark(self) -> None:
        """What is stored so far is sound."""
        self._marked = list(self.batches)

    def forget(self) -> None:
        """Back to what was stored at the mark."""
        self.batches = list(self._marked)

    def recall(self, count: int, rng: torch.Generator) -> Lesson | None:
        """One stored batch at random; None when nothing is stored."""
        if not self.batches:
            return None
        return self.batches[int(torch.randint(len(self.batches), (1,), generator=rng))]

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, for a checkpoint."""
        stored = {
            name: [(b.images, b.logits) for b in batches]
            for name, batches in (("batches", self.batches), ("marked", self._marked))
        }
        return {"round": self._round, **stored}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take up a state, on this device."""
        self._round = state["round"]
        self.batches, self._marked = (
            [Lesson(i.to(device), t.to(device)) for i, t in state[name]]
            for name in ("batches", "marked")
        )
