"""A ring buffer of single images with the teacher's logits."""

from typing import Any

import torch
from torch import Tensor

from dfkd.composition import Composition, ImagePool
from dfkd.images import ImageSpec
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.memory.protocol import MemoryContext, MemoryDefaults

MAX_POOL_BYTES = 2**30
"""Largest size of the images in a pool in bytes: about 10,900 images of 3 x 128 x 128."""


def build(recipe: Composition, context: MemoryContext) -> "PoolMemory":
    """Return the memory of a recipe."""
    assert isinstance(recipe.memory, ImagePool)
    return PoolMemory(recipe.memory.capacity, context.spec)


class PoolMemory(MemoryDefaults):
    """A ring buffer of the last `capacity` images.

    Images are stored in half precision on the standard scale. The storage is allocated once, at the
    first batch. It holds fewer images if they would take more than `MAX_POOL_BYTES`.

    Args:
        capacity: Largest number of images.
        spec: Specification of the images.
    """

    def __init__(self, capacity: int, spec: ImageSpec) -> None:
        self.capacity, self.spec = capacity, spec
        self.count = 0
        self._next = 0
        self._since_mark = 0
        self._images: Tensor | None = None
        self._logits: Tensor | None = None

    @property
    def images(self) -> Tensor:
        """All stored images (count, C, H, W), as float32."""
        assert self._images is not None
        return self.spec.from_standard(self._images[: self.count].float())

    def store(self, batch: LabelledBatch) -> None:
        """Store a batch; if the pool is full, it replaces the oldest images."""
        images, logits = batch.images, batch.logits
        if self._images is None or self._logits is None:
            fitting = MAX_POOL_BYTES // (2 * images[0].numel())
            self.capacity = max(1, min(self.capacity, fitting))
            self._images = images.new_zeros((self.capacity, *images.shape[1:]), dtype=torch.half)
            self._logits = logits.new_zeros((self.capacity, logits.shape[1]))
        slots = torch.arange(self._next, self._next + len(images), device=images.device)
        slots %= self.capacity
        self._images[slots] = self.spec.to_standard(images).half()
        self._logits[slots] = logits
        self._next = (self._next + len(images)) % self.capacity
        self.count = min(self.capacity, self.count + len(images))
        self._since_mark += len(images)

    def mark_healthy(self) -> None:
        """Record that the images stored so far are from a healthy run."""
        self._since_mark = 0

    def drop_unmarked(self) -> None:
        """Drop the images stored since the last `mark_healthy`.

        The images that they replaced are lost.
        """
        if self._images is None or self._logits is None:
            return
        healthy = max(0, self.count - self._since_mark)
        # The healthy images are the oldest. Moving the oldest to index 0 puts them all first.
        oldest = self._next if self.count == self.capacity else 0
        self._images = self._images.roll(-oldest, 0)
        self._logits = self._logits.roll(-oldest, 0)
        self.count, self._next, self._since_mark = healthy, healthy % self.capacity, 0

    def sample(self, count: int, rng: torch.Generator) -> LabelledBatch | None:
        """Return `count` stored images, drawn with replacement; None if the pool is empty."""
        if self._images is None or self._logits is None or self.count == 0:
            return None
        index = torch.randint(self.count, (count,), generator=rng).to(self._images.device)
        standard = self._images[index].to(self._logits.dtype)
        return LabelledBatch(self.spec.from_standard(standard), self._logits[index])

    def state_dict(self) -> dict[str, Any]:
        """Return the stored images and positions for a checkpoint."""
        empty = torch.empty(0)
        return {
            # Saving a view would write the whole storage to the file.
            "images": empty if self._images is None else self._images[: self.count].clone(),
            "logits": empty if self._logits is None else self._logits[: self.count].clone(),
            "next": self._next,
            "since mark": self._since_mark,
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore the state of a pool of the same capacity, with the images on `device`."""
        self._images = self._logits = None
        self.count = self._next = 0
        if len(state["images"]):
            images = self.spec.from_standard(state["images"].to(device).float())
            self.store(LabelledBatch(images, state["logits"].to(device)))
        self._next, self._since_mark = int(state["next"]), int(state["since mark"])
