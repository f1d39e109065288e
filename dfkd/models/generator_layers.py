"""Trunks (hidden layers) and heads (last layers) of generator networks."""

from collections.abc import Callable

from torch import Tensor, nn

from dfkd.images import ImageSpec


class Clamp(nn.Module):
    """Batch norm, then a clamp to the value range of real images.

    Before training, the output has the spread of normalized data.

    Args:
        spec: Specification of the images to draw.
    """

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec, self.centre = spec, nn.BatchNorm2d(spec.shape[0])

    def forward(self, drawn: Tensor) -> Tensor:
        """Return normalized images (N, C, H, W) within `value_range`."""
        return self.spec.clamp(self.spec.from_standard(self.centre(drawn).float()))


class Sigmoid(nn.Module):
    """A sigmoid, scaled to the value range, then the teacher's normalization (CMI).

    Args:
        spec: Specification of the images to draw.
    """

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, drawn: Tensor) -> Tensor:
        """Return normalized images (N, C, H, W) within `value_range`."""
        low, high = self.spec.value_range
        return self.spec.normalise(low + (high - low) * drawn.float().sigmoid())


class FromStandard(nn.Module):
    """Turns images on the standard scale into normalized images, see `ImageSpec.from_standard`.

    Args:
        spec: Specification of the images to draw.
    """

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, standard: Tensor) -> Tensor:
        """Return normalized images (N, C, H, W)."""
        return self.spec.from_standard(standard.float())


def _tanh(spec: ImageSpec) -> nn.Module:
    """Return tanh and a batch norm without affine parameters; it normalizes the images (DAFL)."""
    centre = nn.BatchNorm2d(spec.shape[0], affine=False)
    return nn.Sequential(nn.Tanh(), centre, FromStandard(spec))


def _free(spec: ImageSpec) -> nn.Module:
    """Return a batch norm with affine parameters; its output is not bounded (ZSKT)."""
    return nn.Sequential(nn.BatchNorm2d(spec.shape[0]), FromStandard(spec))


HEADS: dict[str, Callable[[ImageSpec], nn.Module]] = {
    "clamp": Clamp,
    "sigmoid": Sigmoid,
    "tanh": _tanh,
    "free": _free,
}
"""Heads, by name: the last layers of a generator."""


def _block(inputs: int, outputs: int, eps: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs, eps=eps),
        nn.LeakyReLU(0.2),
    )


def pixel_shuffle(width: int, channels: int, doublings: int, eps: float) -> nn.Sequential:
    """Return a trunk that works at half resolution and ends in a pixel shuffle (Shi et al. 2016).

    Args:
        width: Channels of the hidden layers.
        channels: Channels of the images.
        doublings: How many times the height and width of the base grid are doubled.
        eps: The epsilon of the hidden batch norms.
    """
    layers: list[nn.Module] = []
    for _ in range(max(0, doublings - 1)):
        layers += [nn.Upsample(scale_factor=2), _block(width, width, eps)]
    head = channels * (4 if doublings else 1)
    layers += [_block(width, width, eps), nn.Conv2d(width, head, 3, padding=1)]
    if doublings:
        layers.append(nn.PixelShuffle(2))
    return nn.Sequential(*layers)


def upsample(width: int, channels: int, doublings: int, eps: float) -> nn.Sequential:
    """Return DAFL's trunk: nearest-neighbour upsampling and 3x3 convolutions up to full resolution.

    Args:
        width: Channels of the hidden layers; the last one has half as many.
        channels: Channels of the images.
        doublings: How many times the height and width of the base grid are doubled.
        eps: The epsilon of the hidden batch norms.
    """
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
"""Trunks, by name: the layers between the base grid and the head."""


def initialize_small(trunk: nn.Sequential) -> None:
    """Draw convolution weights uniformly from [-0.08, 0.08]; set biases to 0 (PRE-DFKD's code)."""
    for layer in [m for m in trunk.modules() if isinstance(m, nn.Conv2d)]:
        nn.init.uniform_(layer.weight, -0.08, 0.08)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
