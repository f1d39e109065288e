"""Distances between a batch and the statistics stored in the teacher's batch norms."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.models.forward_pass import LayerStatistics


def batch_norm(statistics: list[LayerStatistics]) -> Tensor:
    """Return the squared distance to the stored statistics, relative to the stored deviations.

    Mean over layers and channels of ((m - mu) / sigma)^2 + (s / sigma - 1)^2, with m and s the
    batch's mean and standard deviation at the layer's input. This is DeepInversion's distance (Yin
    et al. 2020, eq. 4) with each channel divided by its stored deviation, so that all layers count
    equally.

    Args:
        statistics: Of the inputs of the batch norms.
    """
    distances = []
    for layer in statistics:
        deviation = layer.stored_variance.clamp_min(1e-6).sqrt()
        shift = (layer.mean - layer.stored_mean) / deviation
        stretch = layer.variance.clamp_min(1e-12).sqrt() / deviation - 1
        distances.append((shift.square() + stretch.square()).mean())
    return torch.stack(distances).mean()


def batch_norm_l2(statistics: list[LayerStatistics]) -> Tensor:
    """Return the sum over layers of |v - var| + |m - mu|, L2 norms (DeepInversion, eq. 4).

    Args:
        statistics: Of the inputs of the batch norms.
    """
    return torch.stack(
        [
            l2_distance(layer.mean, layer.variance, layer.stored_mean, layer.stored_variance)
            for layer in statistics
        ]
    ).sum()


def batch_norm_kl(statistics: list[LayerStatistics]) -> Tensor:
    """Return the KL between diagonal Gaussians, summed over layers and channels (DFQ-AKD, eq. 6).

    KL(N(m, v) || N(mu, var)) = ((m - mu)^2 + v) / (2 var) - log(sqrt(v) / sqrt(var)) - 1/2.

    Args:
        statistics: Of the inputs of the batch norms.
    """
    total = []
    for layer in statistics:
        stored = layer.stored_variance.clamp_min(1e-6)
        variance = layer.variance.clamp_min(1e-12)
        shift = (layer.mean - layer.stored_mean).square()
        total.append(
            ((shift + variance) / (2 * stored) - (variance / stored).log() / 2 - 0.5).sum()
        )
    return torch.stack(total).sum()


def batch_norm_mse(statistics: list[LayerStatistics]) -> Tensor:
    """Return the mean over layers of the squared differences of mean and variance (GDFQ, eq. 6).

    Args:
        statistics: Of the inputs of the batch norms.
    """
    return torch.stack(
        [
            F.mse_loss(layer.mean, layer.stored_mean)
            + F.mse_loss(layer.variance, layer.stored_variance)
            for layer in statistics
        ]
    ).mean()


def batch_norm_of_images(images: Tensor, statistics: list[LayerStatistics]) -> Tensor:
    """Return the distance of each image's own statistics to the stored ones (ZeroQ, eq. 3).

    Sum over layers of |m - mu|^2 + |s - sigma|^2 with s = sqrt(v + 1e-6), plus the same for the
    images themselves against mean 0 and deviation 1; batch mean.

    Args:
        images: (N, C, H, W), normalized.
        statistics: Of the inputs of the batch norms.
    """
    variances, means = torch.var_mean(images, (2, 3), correction=0)
    total = _image_distance(means, variances, torch.zeros(()), torch.ones(()))
    for layer in statistics:
        total = total + _image_distance(
            layer.means, layer.variances, layer.stored_mean, layer.stored_variance
        )
    return total


def _image_distance(
    means: Tensor, variances: Tensor, stored_mean: Tensor, stored_variance: Tensor
) -> Tensor:
    """Squared distance of means and deviations, summed over channels, batch mean."""
    deviation = (variances + 1e-6).sqrt() - stored_variance.to(means).sqrt()
    return ((means - stored_mean.to(means)).square() + deviation.square()).sum(1).mean()


def l2_distance(mean: Tensor, variance: Tensor, stored_mean: Tensor, stored_var: Tensor) -> Tensor:
    """Return |variance - stored_var| + |mean - stored_mean|, L2 norms over channels (C,)."""
    return (variance - stored_var).norm() + (mean - stored_mean).norm()
