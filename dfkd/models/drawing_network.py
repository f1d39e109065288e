"""The interface of networks that draw images for the teacher."""

import torch
from torch import Tensor, nn

from dfkd.images import ImageSpec


class DrawingNetwork(nn.Module):
    """A network that draws images from random inputs, and from labels if it is conditional.

    Attributes:
        spec: Specification of the images.
        conditional: Whether `forward` needs labels.
        drawn: Height and width of the images before they are enlarged.
    """

    spec: ImageSpec
    conditional: bool
    drawn: tuple[int, ...]

    def draw_latents(self, count: int, rng: torch.Generator) -> Tensor:
        """Return random inputs (count, ...) for `forward`, on the CPU.

        Args:
            count: Number of images.
            rng: Random number generator on the CPU.
        """
        raise NotImplementedError

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw images.

        Args:
            latents: Inputs from `draw_latents`.
            labels: Class indices (N,), for conditional networks only.

        Returns:
            Normalized images (N, C, H, W).
        """
        raise NotImplementedError
