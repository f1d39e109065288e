"""CIFAR ResNet-20/32/56 with parameter-free (option A) shortcuts (He et al. 2015, section 4.2)."""

import torch.nn.functional as F
from torch import Tensor, nn


class OptionABlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters.

    Where the shape changes, the shortcut subsamples positions and adds channels of zeros.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        missing = outputs - inputs
        self.padding = (missing // 2, missing - missing // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride) for x (N, inputs, H, W)."""
        shortcut = x
        if self.stride != 1:
            shortcut = shortcut[:, :, :: self.stride, :: self.stride]
        if self.padding != (0, 0):
            shortcut = F.pad(shortcut, (0, 0, 0, 0, *self.padding))
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class CifarResNet(nn.Module):
    """ResNet of depth 6n + 2 with widths 16/32/64.

    Args:
        depth: Number of layers, 6n + 2: for example 20, 32 or 56.
        channels: Input channels.
        classes: Number of classes.
        width: Multiplier of the widths.
    """

    def __init__(self, depth: int, channels: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        blocks, remainder = divmod(depth - 2, 6)
        if remainder:
            raise ValueError(f"the depth of a CIFAR ResNet must be 6n + 2, not {depth}")
        first, second, third = (max(1, int(width * n)) for n in (16, 32, 64))
        self.conv1 = nn.Conv2d(channels, first, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.layer1 = self._stage(first, first, blocks, 1)
        self.layer2 = self._stage(first, second, blocks, 2)
        self.layer3 = self._stage(second, third, blocks, 2)
        self.linear = nn.Linear(third, classes)

    @staticmethod
    def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
        first = OptionABlock(inputs, outputs, stride)
        return nn.Sequential(first, *(OptionABlock(outputs, outputs, 1) for _ in range(blocks - 1)))

    def compared_layers(self) -> list[nn.Module]:
        """Return the three stages."""
        return [self.layer1, self.layer2, self.layer3]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, C, H, W)."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
