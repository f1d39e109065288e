"""Replay of single images: a ring of the last ones, with the teacher's logits."""

from typing import Any

import torch
from torch import Tensor

from dfkd.memory.labelled_batch import Lesson


class PoolMemory:
    """A ring of the last `capacity` images.

    Images are kept in half precision; the memory is allocated once, at the first batch.
    """

    learns = False
    factor = 1.0

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self._next = 0
        self._since_mark = 0
        self._images: Tensor | None = None
        self._logits: Tensor | None = None

    @property
    def images(self) -> Tensor:
        """(count, C, H, W), all that is remembered, in float32."""
        assert self._images is not None
        return self._images[: self.count].float()

    def remember(self, lesson: Lesson) -> None:
        """Add a batch, over the oldest images when full."""
        images, logits = lesson.images, lesson.logits
        if self._images is None or self._logits is None:
            self._images = images.new_zeros((self.capacity, *images.shape[1:]), dtype=torch.half)
            self._logits = logits.new_zeros((self.capacity, logits.shape[1]))
        slots = torch.arange(self._next, self._next + len(images), device=images.device)
        slots %= self.capacity
        self._images[slots] = images.half()
        self._logits[slots] = logits
        self._next = (self._next + len(images)) % self.capacity
        self.count = min(self.capacity, self.count + len(images))
        self._since_mark += len(images)

    def attend(self, lesson: Lesson, step: int, rng: torch.Generator) -> None:
        """Nothing learns here."""

    def close_round(self, last: Lesson | None) -> None:
        """Nothing waits for the end of a round."""

    def mark(self) -> None:
        """What is remembered so far is sound."""
        self._since_mark = 0

    def forget(self) -> None:
        """Drop what was remembered since the mark; what it has overwritten is gone."""
        if self._images is None or self._logits is None:
            return
        sound = max(0, self.count - self._since_mark)
        # The oldest image to the front, so that the sound ones are the first.
        oldest = self._next if self.count == self.capacity else 0
        self._images = self._images.roll(-oldest, 0)
        self._logits = self._logits.roll(-oldest, 0)
        self.count, self._next, self._since_mark = sound, sound % self.capacity, 0

    def recall(self, count: int, rng: torch.Generator) -> Lesson | None:
        """Draw `count` remembered images, with replacement; None when nothing is remembered."""
        if self._images is None or self._logits is None or self.count == 0:
            return None
        index = torch.randint(self.count, (count,), generator=rng).to(self._images.device)
        return Lesson(self._images[index].to(self._logits.dtype), self._logits[index])

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, for a checkpoint."""
        empty = torch.empty(0)
        return {
            # A view would bring its whole storage into the file.
            "images": empty if self._images is None else self._images[: self.count].clone(),
            "logits": empty if self._logits is None else self._logits[: self.count].clone(),
            "next": self._next,
            "since mark": self._since_mark,
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take up a state of a pool of the same capacity, on this device."""
        self._images = self._logits = None
        self.count = self._next = 0
        if len(state["images"]):
            self.remember(Lesson(state["images"].to(device), state["logits"].to(device)))
        self._next, self._since_mark = int(state["next"]), int(state["since mark"])
