"""Images with the teacher's logits, on which the student is trained."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class LabelledBatch:
    """Images with the teacher's outputs, without gradient.

    Attributes:
        images: Normalized images (N, C, H, W).
        logits: The teacher's logits (N, K).
        maps: The teacher's feature maps, if the objective compares them; memories store no maps.
    """

    images: Tensor
    logits: Tensor
    maps: list[Tensor] = field(default_factory=list)

    def selected(self, mask: Tensor) -> "LabelledBatch":
        """Return the images where `mask` (N,) is true."""
        return LabelledBatch(self.images[mask], self.logits[mask], [m[mask] for m in self.maps])

    def joined(self, other: "LabelledBatch") -> "LabelledBatch":
        """Return both batches as one; it has feature maps only if both batches have them."""
        both = zip(self.maps, other.maps, strict=True) if self.maps and other.maps else ()
        return LabelledBatch(
            torch.cat([self.images, other.images]),
            torch.cat([self.logits, other.logits]),
            [torch.cat(pair) for pair in both],
        )
