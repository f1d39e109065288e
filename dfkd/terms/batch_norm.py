"""Distances between a batch and the statistics stored in the teacher's batch norms."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.models.forward_pass import LayerStatistics


def batch_norm(statistics: list[LayerStatistics]) -> Tensor:
    """Return the squared distance to the stored statistics, relative to the stored deviations.

    The value is the mean over layers and channels of ((m - mu) / sigma)^2 + (s / sigma - 1)^2. m
    and s are the batch's mean and standard deviation at the layer's input; mu and sigma are the
    stored ones. This is DeepInversion's distance (Yin et al. 2020, eq. 4) with each channel divided
    by its stored deviation, so that all layers count equally.

    Args:
        statistics: Statistics of the inputs of each batch norm.
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

    m and v are the batch's mean and variance; mu and var are the stored ones.

    Args:
        statistics: Statistics of the inputs of each batch norm.
    """
    return torch.stack(
        [
            l2_distance(layer.mean, layer.variance, layer.stored_mean, layer.stored_variance)
            for layer in statistics
        ]
    ).sum()


def batch_norm_kl(statistics: list[LayerStatistics]) -> Tensor:
    """Return the KL between Gaussians with the batch's and the stored statistics (DFQ-AKD, eq. 6).

    The KL is summed over layers and channels. For one channel,
    KL(N(m, v) || N(mu, var)) = ((m - mu)^2 + v) / (2 var) - log(sqrt(v) / sqrt(var)) - 1/2.

    Args:
        statistics: Statistics of the inputs of each batch norm.
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
    """Return the MSE of the mean plus the MSE of the variance, averaged over layers (GDFQ, eq. 6).

    Args:
        statistics: Statistics of the inputs of each batch norm.
    """
    return torch.stack(
        [
            F.mse_loss(layer.mean, layer.stored_mean)
            + F.mse_loss(layer.variance, layer.stored_variance)
            for layer in statistics
        ]
    ).mean()


def batch_norm_of_images(images: Tensor, statistics: list[LayerStatistics]) -> Tensor:
    """Return the distance between each image's statistics and the stored ones (ZeroQ, eq. 3).

    The distance of an image is the sum over layers of |m - mu|^2 + |s - sigma|^2 with s = sqrt(v +
    1e-6). The distance of its pixels from mean 0 and deviation 1 is added. The value is the mean
    over the images.

    Args:
        images: (N, C, H, W) on the standard scale, see `ImageSpec.from_standard`.
        statistics: Statistics of the inputs of each batch norm.
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
    """Return the squared distance, summed over channels and averaged over images."""
    deviation = (variances + 1e-6).sqrt() - stored_variance.to(means).sqrt()
    return ((means - stored_mean.to(means)).square() + deviation.square()).sum(1).mean()


def l2_distance(mean: Tensor, variance: Tensor, stored_mean: Tensor, stored_var: Tensor) -> Tensor:
    """Return |variance - stored_var| + |mean - stored_mean|, where |.| is the L2 norm.

    All arguments have the shape (C,).
    """
    return (variance - stored_var).norm() + (mean - stored_mean).norm()
