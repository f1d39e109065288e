"""Replay: images the generator drew earlier, so that the student does not forget them."""

import torch
from torch import Tensor


class ImagePool:
    """A ring of the last `capacity` images with the teacher's logits.

    Images are kept in half precision; the memory is allocated once, at the first batch.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self._next = 0
        self._images: Tensor | None = None
        self._logits: Tensor | None = None

    def remember(self, images: Tensor, logits: Tensor) -> None:
        """Add a batch (N, C, H, W) with its teacher logits (N, K), over the oldest when full."""
        if self.capacity == 0:
            return
        if self._images is None or self._logits is None:
            self._images = images.new_zeros((self.capacity, *images.shape[1:]), dtype=torch.half)
            self._logits = logits.new_zeros((self.capacity, logits.shape[1]))
        slots = torch.arange(self._next, self._next + len(images), device=images.device)
        slots %= self.capacity
        self._images[slots] = images.half()
        self._logits[slots] = logits
        self._next = (self._next + len(images)) % self.capacity
        self.count = min(self.capacity, self.count + len(images))

    def recall(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw `count` remembered images and logits, with replacement.

        Raises:
            IndexError: When nothing is remembered.
        """
        if self._images is None or self._logits is None:
            raise IndexError("nothing is remembered yet")
        index = torch.randint(self.count, (count,), generator=rng).to(self._images.device)
        return self._images[index].to(self._logits.dtype), self._logits[index]

    def state_dict(self) -> dict[str, object]:
        """Everything needed to go on, for a checkpoint."""
        empty = torch.empty(0)
        return {
            # A view would bring its whole storage into the file.
            "images": empty if self._images is None else self._images[: self.count].clone(),
            "logits": empty if self._logits is None else self._logits[: self.count].clone(),
            "next": self._next,
        }

    def load_state_dict(self, state: dict[str, Tensor | int], device: torch.device) -> None:
        """Take up a state of a pool of the same capacity, on this device."""
        images, logits = state["images"], state["logits"]
        assert isinstance(images, Tensor) and isinstance(logits, Tensor)
        if len(images):
            self.remember(images.to(device), logits.to(device))
        self._next = int(state["next"])
