"""Two networks after MLPerf Tiny (Banbury et al. 2021): ResNet-8, and MobileNetV1 at width 0.25.

Both pad as TensorFlow's "same" does: with a stride of 2, one more pixel at the right and the bottom
than at the left and the top. Both take raw pixels from 0 to 255.
"""

import torch.nn.functional as F
from torch import Tensor, nn

MOBILENET_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
"""Output channels at width 1.0, and stride, of each block (Howard et al. 2017, table 1)."""


class SamePaddedConvolution(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's "same" does."""

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, size, stride, groups=groups, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs (N, C, ceil(H / stride), ceil(W / stride))."""
        padding: list[int] = []
        for length, size, stride in zip(
            reversed(images.shape[2:]),
            reversed(self.kernel_size),
            reversed(self.stride),
            strict=True,
        ):
            total = max(0, (-(-length // stride) - 1) * stride + size - length)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(images, padding))


def _layer(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        SamePaddedConvolution(inputs, outputs, size, stride, groups), nn.BatchNorm2d(outputs)
    )


class ResNet8(nn.Module):
    """Three blocks of two convolutions, with 16, 32 and 64 channels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.first = _layer(3, 16, 3)
        self.blocks = nn.ModuleList()
        for inputs, outputs, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
            block = nn.ModuleDict(
                {"first": _layer(inputs, outputs, 3, stride), "second": _layer(outputs, outputs, 3)}
            )
            if stride > 1:
                block["shortcut"] = SamePaddedConvolution(inputs, outputs, 1, stride)
            self.blocks.append(block)
        self.head = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes)."""
        x = F.relu(self.first(images))
        for block in self.blocks:
            assert isinstance(block, nn.ModuleDict)
            shortcut = block["shortcut"](x) if "shortcut" in block else x
            x = F.relu(block["second"](F.relu(block["first"](x))) + shortcut)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def resnet8(num_classes: int) -> nn.Module:
    """Return the ResNet-8 with random weights."""
    return ResNet8(num_classes)


def mobilenet_quarter(num_classes: int) -> nn.Module:
    """Return MobileNetV1 at width 0.25, with a first stride of 1 for images of 32 x 32."""
    layers: list[nn.Module] = [_layer(3, 8, 3), nn.ReLU()]
    inputs = 8
    for full_width, stride in MOBILENET_BLOCKS:
        outputs = full_width // 4
        layers += [_layer(inputs, inputs, 3, stride, groups=inputs), nn.ReLU()]
        layers += [_layer(inputs, outputs, 1), nn.ReLU()]
        inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes)]
    return nn.Sequential(*layers)
