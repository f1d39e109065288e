"""ResNet-18/34 for CIFAR, whose first convolution is 3x3 with stride 1, without max-pooling.

Papers on data-free distillation call this variant "8x".
"""

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2015).

    Where the shape changes, the shortcut is a 1x1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride) for x (N, inputs, H, W)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet with four stages of widths 64/128/256/512.

    Args:
        blocks: Blocks of each stage: (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34.
        channels: Input channels.
        classes: Number of classes.
        width: Multiplier of the widths.
    """

    def __init__(
        self, blocks: tuple[int, int, int, int], channels: int, classes: int, width: float = 1.0
    ) -> None:
        super().__init__()
        widths = [max(1, int(width * n)) for n in (64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        stages, inputs = [], widths[0]
        self.stage_ends = tuple(sum(blocks[: stage + 1]) - 1 for stage in range(4))
        for stage, (count, outputs) in enumerate(zip(blocks, widths, strict=True)):
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                stages.append(BasicBlock(inputs, outputs, stride))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.linear = nn.Linear(inputs, classes)

    def compared_layers(self) -> list[nn.Module]:
        """Return the last block of each stage."""
        return [self.stages[end] for end in self.stage_ends]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, C, H, W)."""
        x = self.stages(F.relu(self.bn1(self.conv1(images))))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
