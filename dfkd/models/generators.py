"""Generators: latents (and labels) in, normalised images in the teacher's input space out.

All end in a batch norm and a clamp: what they draw starts at the mean and the spread of normalised
data and stays in the value range of real images. They are built from the input spec alone: a small
base grid is doubled until it covers the image.
"""

import math
from collections.abc import Callable

from torch import Tensor, nn

from dfkd.images import ImageSpec

BASE = 8
"""Largest side of the grid a generator starts from."""


def _doublings(spec: ImageSpec) -> tuple[int, int, int]:
    """(base height, base width, doublings) so that the grid covers the image."""
    _, height, width = spec.shape
    doublings = max(0, math.ceil(math.log2(max(height, width) / BASE)))
    return math.ceil(height / 2**doublings), math.ceil(width / 2**doublings), doublings


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )


class _Generator(nn.Module):
    """What both layouts share: latent (times class embedding) to base grid, crop, squash.

    Attributes:
        latent: Size of the latent vector.
        conditional: Whether `forward` needs labels.
    """

    def __init__(
        self, spec: ImageSpec, classes: int, latent: int, width: int, conditional: bool
    ) -> None:
        super().__init__()
        self.spec, self.latent, self.conditional, self.width = spec, latent, conditional, width
        self.base_height, self.base_width, self.doublings = _doublings(spec)
        self.embedding = nn.Embedding(classes, latent) if conditional else None
        self.project = nn.Linear(latent, width * self.base_height * self.base_width)
        self.normalise = nn.BatchNorm2d(width)
        self.centre = nn.BatchNorm2d(spec.shape[0])
        self.trunk: nn.Module

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw images.

        Args:
            latents: (N, latent), standard normal.
            labels: (N,) class indices, for conditional generators only.

        Returns:
            (N, C, H, W) normalised images.

        Raises:
            ValueError: When labels are missing or not wanted.
        """
        if (labels is not None) != self.conditional:
            raise ValueError("labels go with conditional generators, and only with them")
        if self.embedding is not None:
            latents = latents * self.embedding(labels)
        grid = self.project(latents).view(-1, self.width, self.base_height, self.base_width)
        drawn = self.trunk(self.normalise(grid))
        _, height, width = self.spec.shape
        return self.spec.clamp(self.centre(drawn[:, :, :height, :width]))


class PixelShuffleGenerator(_Generator):
    """Works at half resolution and shuffles pixels at the end (Shi et al. 2016): the cheap one."""

    def __init__(
        self,
        spec: ImageSpec,
        classes: int,
        latent: int = 64,
        width: int = 32,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec, classes, latent, width, conditional)
        channels = spec.shape[0]
        layers: list[nn.Module] = []
        for _ in range(max(0, self.doublings - 1)):
            layers += [nn.Upsample(scale_factor=2), _block(width, width)]
        head = channels * (4 if self.doublings else 1)
        layers += [_block(width, width), nn.Conv2d(width, head, 3, padding=1)]
        if self.doublings:
            layers.append(nn.PixelShuffle(2))
        self.trunk = nn.Sequential(*layers)


class UpsampleGenerator(_Generator):
    """DAFL's layout (nearest upsampling and 3x3 convolutions up to full resolution)."""

    def __init__(
        self,
        spec: ImageSpec,
        classes: int,
        latent: int = 100,
        width: int = 128,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec, classes, latent, width, conditional)
        layers: list[nn.Module] = []
        inputs = width
        for step in range(self.doublings):
            outputs = width if step + 1 < self.doublings else max(1, width // 2)
            layers += [nn.Upsample(scale_factor=2), _block(inputs, outputs)]
            inputs = outputs
        self.trunk = nn.Sequential(*layers, nn.Conv2d(inputs, spec.shape[0], 3, padding=1))


GENERATORS: dict[str, Callable[..., _Generator]] = {
    "pixel-shuffle": PixelShuffleGenerator,
    "upsample": UpsampleGenerator,
}
