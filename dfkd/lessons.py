"""What the student learns from: images and the teacher's answers to them."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Lesson:
    """Images with the teacher's answers, without gradient.

    Attributes:
        images: (N, C, H, W), normalised.
        logits: (N, K), the teacher's.
        maps: The teacher's attention maps, when the objective compares them.
    """

    images: Tensor
    logits: Tensor
    maps: list[Tensor] = field(default_factory=list)

    def kept(self, mask: Tensor) -> "Lesson":
        """The images for which `mask` (N,) is true."""
        return Lesson(self.images[mask], self.logits[mask], [m[mask] for m in self.maps])

    def joined(self, other: "Lesson") -> "Lesson":
        """Both as one batch; attention maps are not carried over."""
        return Lesson(
            torch.cat([self.images, other.images]), torch.cat([self.logits, other.logits])
        )
