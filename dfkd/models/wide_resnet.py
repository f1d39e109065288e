"""Wide residual networks for 32x32 images: WRN-depth-k (Zagoruyko and Komodakis 2016)."""

import torch.nn.functional as F
from torch import Tensor, nn


class PreactivationBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, and a shortcut.

    Where the shape changes, the shortcut is a 1x1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.projection: nn.Module | None = None
        if inputs != outputs or stride != 1:
            self.projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride) for x (N, inputs, H, W)."""
        activated = F.relu(self.bn1(x))
        shortcut = x if self.projection is None else self.projection(activated)
        return self.conv2(F.relu(self.bn2(self.conv1(activated)))) + shortcut


class WideResNet(nn.Module):
    """WRN-depth-k with widths 16, 16 k, 32 k and 64 k.

    Args:
        depth: Number of layers, 6n + 4: for example 16 or 40.
        widen: The k of WRN-depth-k.
        channels: Input channels.
        classes: Number of classes.
        width: Multiplier of the widths, in addition to `widen`.
    """

    def __init__(
        self, depth: int, widen: int, channels: int, classes: int, width: float = 1.0
    ) -> None:
        super().__init__()
        blocks, remainder = divmod(depth - 4, 6)
        if remainder:
            raise ValueError(f"the depth of a wide ResNet must be 6n + 4, not {depth}")
        stem = max(1, int(width * 16))
        self.conv1 = nn.Conv2d(channels, stem, 3, 1, 1, bias=False)
        stages, inputs = [], stem
        self.stage_ends = tuple(blocks * (stage + 1) - 1 for stage in range(3))
        for stage in range(3):
            outputs = max(1, int(width * 16 * widen)) * 2**stage
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                stages.append(PreactivationBlock(inputs, outputs, stride))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(inputs)
        self.linear = nn.Linear(inputs, classes)

    def compared_layers(self) -> list[nn.Module]:
        """Return the last block of each stage."""
        return [self.stages[end] for end in self.stage_ends]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, C, H, W)."""
        x = F.relu(self.bn(self.stages(self.conv1(images))))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
