"""Construction of teachers and students by their names in the table of architectures."""

from torch import nn

from dfkd.images import ImageSpec
from dfkd.models.table import ARCHITECTURES
from dfkd.references import load


def build(name: str, spec: ImageSpec, classes: int, width: float = 1.0) -> nn.Module:
    """Return a freshly initialized network.

    Args:
        name: A key of `ARCHITECTURES`.
        spec: Specification of its input images.
        classes: Number of logits.
        width: Multiplier of the hidden widths.

    Raises:
        KeyError: If the name is unknown.
        ValueError: If the architecture cannot take images of this size.

    Examples:
        >>> import torch
        >>> spec = ImageSpec((1, 28, 28), mean=(0.0,), std=(1.0,))
        >>> build("lenet5", spec, classes=10)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    architecture = ARCHITECTURES[name]
    channels, height, breadth = spec.shape
    options = dict(architecture.options)
    if architecture.takes_size:
        if height != breadth:
            raise ValueError(f"{name} takes square images, not {height}x{breadth}")
        options["size"] = height
    network: nn.Module = load(architecture.network)(
        channels=channels, classes=classes, width=width * architecture.width, **options
    )
    return network
