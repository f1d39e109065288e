"""Priors on the pixels themselves."""

import torch
from torch import Tensor

from dfkd.synthesizers.synthesis import Synthesis


def total_variation(synthesis: Synthesis) -> Tensor:
    """Sum of the Frobenius norms of pixel differences in four directions (DeepInversion, eq. 3).

    Right, down and both diagonals, each over the whole batch.
    """
    x = synthesis.images
    differences = (
        x[:, :, :, :-1] - x[:, :, :, 1:],
        x[:, :, :-1, :] - x[:, :, 1:, :],
        x[:, :, :-1, :-1] - x[:, :, 1:, 1:],
        x[:, :, 1:, :-1] - x[:, :, :-1, 1:],
    )
    return torch.stack([difference.norm() for difference in differences]).sum()


def image_norm(synthesis: Synthesis) -> Tensor:
    """Frobenius norm of the batch (DeepInversion, eq. 3)."""
    return synthesis.images.norm()
