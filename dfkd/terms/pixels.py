"""Terms on the pixels: smoothness and norm of the images."""

import torch
from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Return the sum of the Frobenius norms of pixel differences (DeepInversion, eq. 3).

    The differences are to the neighbours on the right, below and along both diagonals. Each norm is
    over the whole batch.

    Args:
        images: (N, C, H, W).

    Examples:
        >>> total_variation(torch.ones(2, 3, 8, 8)).item()
        0.0
    """
    differences = (
        images[:, :, :, :-1] - images[:, :, :, 1:],
        images[:, :, :-1, :] - images[:, :, 1:, :],
        images[:, :, :-1, :-1] - images[:, :, 1:, 1:],
        images[:, :, 1:, :-1] - images[:, :, :-1, 1:],
    )
    return torch.stack([difference.norm() for difference in differences]).sum()


def image_norm(images: Tensor) -> Tensor:
    """Return the Frobenius norm of the batch (DeepInversion, eq. 3).

    Args:
        images: (N, C, H, W).
    """
    return images.norm()
