"""Selection of images by the teacher's loss on them (TA-DFKD, Shin and Choi 2024)."""

import torch
import torch.nn.functional as F
from torch import Tensor

ITERATIONS = 10
"""Number of steps of expectation maximization, as in TA-DFKD's code."""

FLOOR = 5e-4
"""Added to the variances of the scaled losses, as in TA-DFKD's code."""

EQUAL = 1e-5
"""Losses (in nats) that differ by less count as equal, because rounding of the logits may cause the
difference."""


def clean(logits: Tensor) -> Tensor:
    """Return a mask of the images on which the teacher's loss is low.

    The loss is the teacher's cross-entropy against its own argmax, scaled to [0, 1] within the
    batch. A mixture of two Gaussians is fitted to the losses. An image is selected if it belongs to
    the component with the lower mean with a probability above one half.

    Args:
        logits: (N, K), logits of the teacher.

    Returns:
        (N,), bool. All true if the losses are equal. Also all true if fewer than two images would
        be selected, because batch norm cannot be trained on one image.

    Examples:
        >>> clean(torch.tensor([[9.0, 0.0], [9.0, 0.0], [0.1, 0.0]])).tolist()
        [True, True, False]
    """
    losses = F.cross_entropy(logits.detach().double(), logits.argmax(1), reduction="none")
    low, high = losses.min(), losses.max()
    if high - low < EQUAL:
        return torch.ones_like(losses, dtype=torch.bool)
    share = lower_component((losses - low) / (high - low))
    mask = share > 0.5
    return mask if mask.sum() > 1 else torch.ones_like(mask)


def lower_component(values: Tensor) -> Tensor:
    """Return the probability that each value belongs to the lower of two fitted Gaussians.

    Args:
        values: (N,) in [0, 1], not all equal.

    Returns:
        (N,), posterior probability of the component with the lower mean.
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
