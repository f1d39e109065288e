"""Generators: networks that map latents (and labels) to normalized images for the teacher.

The image specification determines the layers: the height and width of a small base grid are doubled
until they cover the drawn image. Every head returns images that are normalized for the teacher.
They must not be normalized a second time.
"""

import math

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from dfkd.composition.synthesis import Conditioning, GeneratorNetwork
from dfkd.images import ImageSpec
from dfkd.models.generator_layers import HEADS, TRUNKS, initialize_small

BASE = 8
"""Largest height or width of the base grid."""


class Generator(nn.Module):
    """A linear layer from latents (and class embeddings) to the base grid, then trunk and head.

    Args:
        network: Layout and size of the generator.
        spec: Specification of the images to draw.
        classes: Number of classes, for conditional generators.
        conditioning: How class embeddings and latents are combined; None without class labels.

    Attributes:
        latent: Size of the latent vector.
        conditional: Whether `forward` needs labels.
        drawn: Height and width of the images before they are enlarged.

    Examples:
        >>> import torch
        >>> spec = ImageSpec((3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> generator = Generator(GeneratorNetwork(latent=16, width=8), spec, classes=10)
        >>> generator(torch.randn(4, 16)).shape
        torch.Size([4, 3, 32, 32])
    """

    def __init__(
        self,
        network: GeneratorNetwork,
        spec: ImageSpec,
        classes: int,
        conditioning: Conditioning = None,
    ) -> None:
        super().__init__()
        self.spec, self.latent, self.width = spec, network.latent, network.width
        self.conditional, self.conditioning = conditioning is not None, conditioning
        channels, *sides = spec.shape
        self.drawn = tuple(math.ceil(side / network.reduction) for side in sides)
        height, width = self.drawn
        doublings = max(0, math.ceil(math.log2(max(height, width) / BASE)))
        self.grid = (math.ceil(height / 2**doublings), math.ceil(width / 2**doublings))
        self.embedding = nn.Embedding(classes, self.latent) if self.conditional else None
        self.project = nn.Linear(self.latent, self.width * self.grid[0] * self.grid[1])
        self.normalise = nn.BatchNorm2d(self.width)
        self.trunk = TRUNKS[network.trunk](self.width, channels, doublings, network.norm_eps)
        self.head = HEADS[network.head](spec)
        if network.spectral:
            _constrain(self.trunk)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw images.

        Args:
            latents: Standard normal latent vectors (N, latent).
            labels: Class indices (N,), for conditional generators only.

        Returns:
            Normalized images (N, C, H, W).

        Raises:
            ValueError: If labels are missing, or are given to an unconditional generator.
        """
        if (labels is not None) != self.conditional:
            needed = "needs labels" if self.conditional else "takes no labels"
            raise ValueError(f"this generator {needed}")
        if self.embedding is not None:
            embedded = self.embedding(labels)
            latents = latents + embedded if self.conditioning == "sum" else latents * embedded
        grid = self.project(latents).view(-1, self.width, *self.grid)
        drawn = self.trunk(self.normalise(grid))
        height, width = self.drawn
        images: Tensor = self.head(drawn[:, :, :height, :width])
        if self.drawn == self.spec.shape[1:]:
            return images
        return functional.interpolate(images, self.spec.shape[1:], mode="bilinear")


def _constrain(trunk: nn.Sequential) -> None:
    """Set small initial weights and spectral norm on the convolutions (PRE-DFKD's code)."""
    initialize_small(trunk)
    for layer in [m for m in trunk.modules() if isinstance(m, nn.Conv2d)]:
        spectral_norm(layer)
