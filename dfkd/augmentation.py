"""Augmentation of images before the networks see them, with one random draw for each batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.composition.synthesis import Augment

ROLL = 2
"""Largest shift of "roll", in pixels (DeepInversion)."""

PADDING = 4
"""Largest shift of "crop-flip", in pixels."""


def augmented(images: Tensor, kind: Augment, rng: torch.Generator) -> Tensor:
    """Return augmented images (N, C, H, W); (2 N, C, H, W) for "two-views".

    Args:
        images: Images (N, C, H, W) on the standard scale, see `ImageSpec.from_standard`.
        kind: See `Augment`. "two-views" returns all crop-flip views, then all local views.
        rng: Random number generator on the CPU.
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
    """Return the images (N, C, H, W) with the first half of them blended in pairs.

    Each image x of that half becomes w x + (1 - w) x', where x' is from the same half and w is
    uniform in [0, 1], as in mixup (Zhang et al. 2018). No labels are blended: the student learns
    the teacher's logits for the blended image.

    Args:
        images: Normalized images; if there are fewer than four, no two of them are blended.
        rng: Random number generator on the CPU.
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
    """Return a random crop of 25 to 100 % of the area, resized to the full size."""
    height, width = images.shape[2:]
    side = (0.25 + 0.75 * torch.rand(1, generator=rng).item()) ** 0.5
    rows, columns = max(1, round(side * height)), max(1, round(side * width))
    top = int(torch.randint(height - rows + 1, (1,), generator=rng))
    left = int(torch.randint(width - columns + 1, (1,), generator=rng))
    part = images[:, :, top : top + rows, left : left + columns]
    return _flip(F.interpolate(part, (height, width), mode="bilinear", align_corners=False), rng)


def _flip(images: Tensor, rng: torch.Generator) -> Tensor:
    return images.flip(3) if torch.rand(1, generator=rng).item() < 0.5 else images
