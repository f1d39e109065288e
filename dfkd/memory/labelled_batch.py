"""Images with the teacher's logits, which the student learns from."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class LabelledBatch:
    """Images with the teacher's outputs, without gradient.

    Attributes:
        images: (N, C, H, W), normalized.
        logits: (N, K), the teacher's.
        maps: The teacher's feature maps, if the objective compares them; memories store none.
    """

    images: Tensor
    logits: Tensor
    maps: list[Tensor] = field(default_factory=list)

    def selected(self, mask: Tensor) -> "LabelledBatch":
        """Return the images where `mask` (N,) is true."""
        return LabelledBatch(self.images[mask], self.logits[mask], [m[mask] for m in self.maps])

    def joined(self, other: "LabelledBatch") -> "LabelledBatch":
        """Return both as one batch, with maps only if both have them."""
        both = zip(self.maps, other.maps, strict=True) if self.maps and other.maps else ()
        return LabelledBatch(
            torch.cat([self.images, other.images]),
            torch.cat([self.logits, other.logits]),
            [torch.cat(pair) for pair in both],
        )
