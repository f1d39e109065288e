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
        maps: What the teacher's stages give, when the objective compares it; a memory keeps none.
    """

    images: Tensor
    logits: Tensor
    maps: list[Tensor] = field(default_factory=list)

    def kept(self, mask: Tensor) -> "Lesson":
        """The images for which `mask` (N,) is true."""
        return Lesson(self.images[mask], self.logits[mask], [m[mask] for m in self.maps])

    def joined(self, other: "Lesson") -> "Lesson":
        """Both as one batch; maps only if both have them."""
        both = zip(self.maps, other.maps, strict=True) if self.maps and other.maps else ()
        return Lesson(
            torch.cat([self.images, other.images]),
            torch.cat([self.logits, other.logits]),
            [torch.cat(pair) for pair in both],
        )
