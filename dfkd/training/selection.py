"""Which images are worth learning from, by the teacher's own loss on them (TA-DFKD)."""

import torch
import torch.nn.functional as F
from torch import Tensor

ITERATIONS = 10
"""Steps of expectation-maximisation, as in TA-DFKD's code."""

FLOOR = 5e-4
"""Added to both variances, on losses scaled to [0, 1]; as in TA-DFKD's code."""

ALIKE = 1e-5
"""Losses, in nats, that differ by less are the same: the rest is rounding of the logits."""


def clean(logits: Tensor) -> Tensor:
    """The images in the cleaner of two components of the teacher's loss.

    Each loss is the cross-entropy of the teacher against its own argmax, scaled to [0, 1] within
    the batch; a one-dimensional mixture of two Gaussians is fitted to it, and an image is kept when
    the component with the lower mean explains it better (Shin and Choi 2024).

    Args:
        logits: (N, K), the teacher's.

    Returns:
        (N,) mask. All true when the losses are alike, so that there is nothing to tell apart, and
        when fewer than two images would be left: no batch norm learns from one.
    """
    losses = F.cross_entropy(logits.detach().double(), logits.argmax(1), reduction="none")
    low, high = losses.min(), losses.max()
    if high - low < ALIKE:
        return torch.ones_like(losses, dtype=torch.bool)
    share = lower_component((losses - low) / (high - low))
    mask = share > 0.5
    return mask if mask.sum() > 1 else torch.ones_like(mask)


def lower_component(values: Tensor) -> Tensor:
    """Probability that each value belongs to the lower of two fitted Gaussians.

    Args:
        values: (N,) in [0, 1], not all alike.

    Returns:
        (N,) posterior of the component with the lower mean.
    """
    means = torch.stack([values.min(), values.max()])
    variances = values.var(unbiased=False).repeat(2) + FLOOR
    weights = torch.full_like(means, 0.5)
    posterior = torch.empty(0)
    for _ in range(ITERATIONS):
        distance = (values[:, None] - means) ** 2 / variances
        joint = weights.log() - 0.5 * (distance + variances.log())
        posterior = joint.softmax(1)
        mass = posterior.sum(0).clamp_min(1e-12)
        means = (posterior * values[:, None]).sum(0) / mass
        variances = (posterior * (values[:, None] - means) ** 2).sum(0) / mass + FLOOR
        weights = (mass / len(values)).clamp_min(1e-12)
    return posterior[:, int(means.argmin())]
