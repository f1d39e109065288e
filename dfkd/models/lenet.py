"""LeNet-5 for 32x32 (or padded 28x28) images, and its half-width student.

The network has three 5x5 convolutions with 6, 16 and 120 channels, with max-pooling after the first
two, then linear layers with 84 and `classes` outputs (LeCun et al. 1998). ReLU, max-pooling and the
half-width version are as in DAFL (Chen et al. 2019).
"""

from collections import OrderedDict

from torch import Tensor, nn


class LeNet5(nn.Module):
    """LeNet-5; `width` 0.5 gives LeNet-5-half, with 3, 8 and 60 channels and 42 hidden units.

    Args:
        channels: Input channels.
        size: Height and width of the input, 32 or 28 (padded to 32 by the first convolution).
        classes: Number of classes.
        width: Multiplier of all hidden widths.
        batch_norm: Whether batch norm follows each convolution.

    Raises:
        ValueError: If `size` is neither 28 nor 32.
    """

    def __init__(
        self, channels: int, size: int, classes: int, width: float = 1.0, batch_norm: bool = False
    ) -> None:
        super().__init__()
        if size not in (28, 32):
            raise ValueError(f"LeNet-5 takes 32x32 or 28x28 images, not {size}x{size}")
        first, second, third, hidden = (max(1, int(width * n)) for n in (6, 16, 120, 84))
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        widths = [("1", channels, first), ("3", first, second), ("5", second, third)]
        for name, inputs, outputs in widths:
            padding = 2 if size == 28 and name == "1" else 0
            layers[f"c{name}"] = nn.Conv2d(inputs, outputs, 5, padding=padding, bias=not batch_norm)
            if batch_norm:
                layers[f"bn{name}"] = nn.BatchNorm2d(outputs)
            layers[f"relu{name}"] = nn.ReLU()
            if name != "5":
                layers[f"s{int(name) + 1}"] = nn.MaxPool2d(2)
        self.convnet = nn.Sequential(layers)
        self.fc = nn.Sequential(
            OrderedDict(f6=nn.Linear(third, hidden), relu6=nn.ReLU(), f7=nn.Linear(hidden, classes))
        )

    def compared_layers(self) -> list[nn.Module]:
        """Return the ReLUs after the first two convolutions; the third has one output position."""
        return [self.convnet.relu1, self.convnet.relu3]  # type: ignore[list-item]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, C, H, W)."""
        return self.fc(self.convnet(images).flatten(1))
