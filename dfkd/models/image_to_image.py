"""A generator that changes procedural images into images for the teacher."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.composition import Composition, ImageToImageGenerator, ImageToImageNetwork
from dfkd.images import ImageSpec
from dfkd.models.drawing_network import DrawingNetwork
from dfkd.procedural.images import ProceduralImages

MAX_DRAWN_SIDE = 112
"""Largest height and width of the images that the network draws; larger ones are enlarged."""


def build_generator(
    recipe: Composition, spec: ImageSpec, classes: int, embeddings: Tensor | None
) -> "ImageToImage":
    """Return the generator of a recipe."""
    synthesizer = recipe.synthesizer
    assert isinstance(synthesizer, ImageToImageGenerator)
    return ImageToImage(synthesizer.network, spec)


class ImageToImage(DrawingNetwork):
    """Residual blocks at half resolution, whose output is added to a procedural image.

    Before training the output is the procedural image itself. So the images differ from each other
    from the start, which images from latent vectors do only after long training.

    Args:
        network: Size of the network.
        spec: Specification of the images to draw.

    Examples:
        >>> spec = ImageSpec((3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
        >>> generator = ImageToImage(ImageToImageNetwork(width=8), spec)
        >>> latents = generator.draw_latents(4, torch.Generator().manual_seed(0))
        >>> generator(latents).shape
        torch.Size([4, 3, 32, 32])
    """

    def __init__(self, network: ImageToImageNetwork, spec: ImageSpec) -> None:
        super().__init__()
        self.spec, self.conditional, self.noise = spec, False, network.noise
        channels, *sides = spec.shape
        self.drawn = tuple(min(side, MAX_DRAWN_SIDE) for side in sides)
        self.source = ProceduralImages(spec.shape)
        width = network.width
        self.first = _block(4 * (channels + network.noise), width)
        self.blocks = nn.ModuleList(_block(width, width) for _ in range(network.blocks))
        self.last = nn.Conv2d(width, 4 * channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def draw_latents(self, count: int, rng: torch.Generator) -> Tensor:
        """Return procedural images on the standard scale, and channels of normal noise.

        Args:
            count: Number of images.
            rng: Random number generator on the CPU.

        Returns:
            (count, C + noise, side, side), where `side` is that of `ProceduralImages`.
        """
        raw = self.source.draw_square(count, rng)
        low, high = self.spec.value_range
        standard = self.spec.to_standard(self.spec.normalise(low + (high - low) * raw))
        noise = torch.randn(count, self.noise, *raw.shape[2:], generator=rng)
        return torch.cat([standard, noise], 1)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw images.

        Args:
            latents: Inputs from `draw_latents`.
            labels: None; this network is not conditional.

        Returns:
            Normalized images (N, C, H, W) within the value range.
        """
        height, width = self.drawn
        even = [2 * math.ceil(side / 2) for side in self.drawn]
        if latents.shape[2:] != torch.Size(even):
            latents = F.interpolate(latents, even, mode="bilinear", align_corners=False)
        hidden = self.first(F.pixel_unshuffle(latents, 2))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        change = F.pixel_shuffle(self.last(hidden), 2)
        standard = latents[:, : change.shape[1]].float() + change.float()
        images = self.spec.clamp(self.spec.from_standard(standard[:, :, :height, :width]))
        if self.drawn == self.spec.shape[1:]:
            return images
        return F.interpolate(images, self.spec.shape[1:], mode="bilinear", align_corners=False)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )
