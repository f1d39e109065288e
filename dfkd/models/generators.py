"""Generators: latents (and labels) in, normalised images in the teacher's input space out.

They are built from the input spec alone: a small base grid is doubled until it covers the image.
All heads end in the teacher's normalised space, so nothing is normalised twice.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dfkd.composition.synthesis import Conditioning, GeneratorNetwork
from dfkd.images import ImageSpec

BASE = 8
"""Largest side of the grid a generator starts from."""


class Clamp(nn.Module):
    """Batch norm, then the value range of real images: starts at normalised data's spread."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec, self.centre = spec, nn.BatchNorm2d(spec.shape[0])

    def forward(self, drawn: Tensor) -> Tensor:
        """(N, C, H, W) -> normalised images within `value_range`."""
        return self.spec.clamp(self.centre(drawn))


class Sigmoid(nn.Module):
    """Sigmoid into the value range, then the teacher's normalisation (CMI)."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, drawn: Tensor) -> Tensor:
        """(N, C, H, W) -> normalised images within `value_range`."""
        low, high = self.spec.value_range
        return self.spec.normalise(low + (high - low) * drawn.sigmoid())


def _tanh(spec: ImageSpec) -> nn.Module:
    """Tanh, then a batch norm without affine part: already in normalised space (DAFL)."""
    return nn.Sequential(nn.Tanh(), nn.BatchNorm2d(spec.shape[0], affine=False))


def _free(spec: ImageSpec) -> nn.Module:
    """A batch norm with affine part alone: unbounded (ZSKT)."""
    return nn.BatchNorm2d(spec.shape[0])


HEADS: dict[str, Callable[[ImageSpec], nn.Module]] = {
    "clamp": Clamp,
    "sigmoid": Sigmoid,
    "tanh": _tanh,
    "free": _free,
}
"""How a generator ends."""


def _block(inputs: int, outputs: int, eps: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs, eps=eps),
        nn.LeakyReLU(0.2),
    )


def pixel_shuffle(width: int, channels: int, doublings: int, eps: float) -> nn.Sequential:
    """Works at half resolution and shuffles pixels at the end (Shi et al. 2016): the cheap one."""
    layers: list[nn.Module] = []
    for _ in range(max(0, doublings - 1)):
        layers += [nn.Upsample(scale_factor=2), _block(width, width, eps)]
    head = channels * (4 if doublings else 1)
    layers += [_block(width, width, eps), nn.Conv2d(width, head, 3, padding=1)]
    if doublings:
        layers.append(nn.PixelShuffle(2))
    return nn.Sequential(*layers)


def upsample(width: int, channels: int, doublings: int, eps: float) -> nn.Sequential:
    """DAFL's layout (nearest upsampling and 3x3 convolutions up to full resolution)."""
    layers: list[nn.Module] = []
    inputs = width
    for step in range(doublings):
        outputs = width if step + 1 < doublings else max(1, width // 2)
        layers += [nn.Upsample(scale_factor=2), _block(inputs, outputs, eps)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Conv2d(inputs, channels, 3, padding=1))


TRUNKS: dict[str, Callable[[int, int, int, float], nn.Sequential]] = {
    "pixel-shuffle": pixel_shuffle,
    "upsample": upsample,
}
"""Trunks: from the base grid to the image, before the head."""


class Generator(nn.Module):
    """Latent (and class embedding) to base grid, trunk, crop, head.

    Args:
        network: Layout and sizes.
        spec: The images to draw.
        classes: Number of classes, for conditional generators.
        conditioning: How class labels enter; None for an unconditional generator.

    Attributes:
        latent: Size of the latent vector.
        conditional: Whether `forward` needs labels.
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
        channels, height, width = spec.shape
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
            told = self.embedding(labels)
            latents = latents + told if self.conditioning == "sum" else latents * told
        grid = self.project(latents).view(-1, self.width, *self.grid)
        drawn = self.trunk(self.normalise(grid))
        _, height, width = self.spec.shape
        return self.head(drawn[:, :, :height, :width])


def start_small(trunk: nn.Sequential) -> None:
    """Convolutions with weights uniform in [-0.08, 0.08], biases 0 (PRE-DFKD's code)."""
    for layer in [m for m in trunk.modules() if isinstance(m, nn.Conv2d)]:
        nn.init.uniform_(layer.weight, -0.08, 0.08)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)


def _constrain(trunk: nn.Sequential) -> None:
    """Small first weights and spectral norm on the convolutions (PRE-DFKD's code)."""
    start_small(trunk)
    for layer in [m for m in trunk.modules() if isinstance(m, nn.Conv2d)]:
        spectral_norm(layer)


class NoisyLayerGenerator(nn.Module):
    """Frozen label embeddings through a linear layer that is drawn anew for every batch (NAYER).

    The randomness is in the layer, not in a latent vector: `redraw` gives each group of images a
    noisy layer of its own.

    Args:
        network: `latent` is the width behind the noisy layer.
        spec: The images to draw.
        embeddings: (K, E), one row a class; random ones keep the method free of outside data, those
            of class names may be given instead.
        groups: Noisy layers a batch.
    """

    def __init__(
        self, network: GeneratorNetwork, spec: ImageSpec, embeddings: Tensor, groups: int
    ) -> None:
        super().__init__()
        self.register_buffer("embeddings", embeddings)
        self.embeddings: Tensor
        self.scale = nn.BatchNorm1d(embeddings.shape[1])
        self.noisy = nn.ModuleList(
            nn.Linear(embeddings.shape[1], network.latent) for _ in range(groups)
        )
        self.trunk = Generator(network, spec, len(embeddings))
        self.redraw()

    def redraw(self) -> None:
        """Draw the noisy layers anew, standard normal, from torch's global random state."""
        for layer in self.noisy:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)

    def forward(self, labels: Tensor) -> Tensor:
        """Draw an image of each label (N,): (N, C, H, W) normalised images."""
        scaled = self.scale(self.embeddings[labels])
        parts: Sequence[Tensor] = scaled.chunk(len(self.noisy))
        told = [layer(part) for layer, part in zip(self.noisy, parts, strict=False)]
        return self.trunk(torch.cat(told))
