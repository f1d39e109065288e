"""What happens to images before the networks look at them: one draw a batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

ROLL = 2
"""Largest shift of "roll", in pixels (DeepInversion's jitter)."""

PADDING = 4
"""Of "crop-flip", in pixels."""


def augmented(images: Tensor, kind: str, rng: torch.Generator) -> Tensor:
    """Images (N, C, H, W) as a recipe's `augment` asks; (2 N, ...) for "two-views".

    Args:
        images: Normalised images.
        kind: "none", "roll", "crop-flip" or "two-views": global views, then local ones.
        rng: Of the draw.
    """
    if kind == "roll":
        across, down = torch.randint(-ROLL, ROLL + 1, (2,), generator=rng).tolist()
        return images.roll((down, across), (2, 3))
    if kind == "crop-flip":
        return _crop_flip(images, rng)
    if kind == "two-views":
        return torch.cat([_crop_flip(images, rng), _local(images, rng)])
    return images


def blended(images: Tensor, rng: torch.Generator) -> Tensor:
    """The images (N, C, H, W), the first half of them blended in pairs.

    Each becomes w x + (1 - w) x', with x' from the same half and w even in [0, 1]: the images of
    mixup (Zhang et al. 2018). Whoever answers them answers the blend itself, no labels are mixed.

    Args:
        images: Normalised images; two or three have nothing to blend.
        rng: Of the draw.
    """
    half, rest = images.tensor_split([len(images) // 2])
    share = torch.rand(len(half), 1, 1, 1, generator=rng).to(images.device, images.dtype)
    return torch.cat([share * half + (1 - share) * half.flip(0), rest])


def _crop_flip(images: Tensor, rng: torch.Generator) -> Tensor:
    height, width = images.shape[2:]
    top, left = torch.randint(2 * PADDING + 1, (2,), generator=rng).tolist()
    padded = F.pad(images, (PADDING,) * 4)
    return _flip(padded[:, :, top : top + height, left : left + width], rng)


def _local(images: Tensor, rng: torch.Generator) -> Tensor:
    """A random part of 25 to 100 % of the area, brought back to full size."""
    height, width = images.shape[2:]
    side = (0.25 + 0.75 * torch.rand(1, generator=rng).item()) ** 0.5
    rows, columns = max(1, round(side * height)), max(1, round(side * width))
    top = int(torch.randint(height - rows + 1, (1,), generator=rng))
    left = int(torch.randint(width - columns + 1, (1,), generator=rng))
    part = images[:, :, top : top + rows, left : left + columns]
    return _flip(F.interpolate(part, (height, width), mode="bilinear", align_corners=False), rng)


def _flip(images: Tensor, rng: torch.Generator) -> Tensor:
    return images.flip(3) if torch.rand(1, generator=rng).item() < 0.5 else images
