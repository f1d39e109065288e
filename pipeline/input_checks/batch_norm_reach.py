"""Whether images under a normalization can give the statistics stored in the first batch norm.

The mean and the second moment of a set of images are the averages of the moments of its images. So
the moments that sets of some given images can have are a convex set, and the set closest to the
stored statistics is found by convex optimization. A set must use at least `MIN_SHARE` of the
images: otherwise a few bright images among black ones could give almost any mean and variance.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfkd.images import ImageSpec
from dfkd.models.forward_pass import batch_norms

MIN_SHARE = 1 / 8

MAX_FACTOR = 2.5
"""Largest accepted factor between reached and stored variances. With the true normalization of
seven teachers it is at most 1.7; with values from 0 to 1 as they are instead of their normalization
at least 4.2."""

MAX_SHIFT = 0.5
"""Largest accepted distance between reached and stored means, in stored standard deviations. With
the true normalization it is at most 0.1."""

STEPS = 200
"""Most steps of the optimization; it converges in fewer where statistics are out of reach."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reach:
    """How close images can come to the stored statistics, as means over the channels.

    Attributes:
        shift: Distance of the means, in stored standard deviations.
        factor: Factor between the variances, at least 1 (geometric mean).
    """

    shift: float
    factor: float

    @property
    def distance(self) -> float:
        """A single figure for comparisons."""
        return self.shift + math.log(self.factor)

    @property
    def within(self) -> bool:
        """Whether the statistics are within reach; False if a value is not finite."""
        return self.shift <= MAX_SHIFT and self.factor <= MAX_FACTOR


class _PassStoppedError(Exception):
    """The first batch norm was called; the rest of the pass is not needed."""


def batch_norm_reach(teacher: nn.Module, spec: ImageSpec, images: Tensor) -> Reach | None:
    """Return how close images under a normalization come to the first batch norm's statistics.

    Args:
        teacher: The teacher, in eval mode.
        spec: The normalization and value range to judge.
        images: (N, C, H, W) with values from 0 to 1, which are scaled to the value range.

    Returns:
        The reach, or None if the teacher calls no 2-d batch norm with stored statistics.
    """
    moments = _moments_at_first_batch_norm(teacher, in_range(images, spec))
    return None if moments is None else _reach_of(_closest(moments))


def in_range(images: Tensor, spec: ImageSpec) -> Tensor:
    """Return images with values from 0 to 1, scaled to the value range and normalized."""
    low, high = spec.value_range
    return spec.normalise(low + (high - low) * images)


@torch.no_grad()
def _moments_at_first_batch_norm(teacher: nn.Module, images: Tensor) -> Array | None:
    """Return each image's moments (N, 2C); all are 0 for the stored statistics.

    The first C columns are the means and the last C the second moments, both relative to the stored
    mean and standard deviation: with z = (x - mean) / deviation, they are E[z] and E[z^2] - 1.
    """
    recorded: list[Tensor] = []

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_mean is not None and layer.running_var is not None
        # The epsilon keeps channels without any variance from counting.
        stored = (layer.running_var + layer.eps).double()
        variances, means = torch.var_mean(inputs[0].float(), (2, 3), correction=0)
        means = (means - layer.running_mean) / stored.sqrt()
        recorded.extend([means, (variances + layer.eps) / stored + means.square() - 1])
        raise _PassStoppedError

    hooks = [layer.register_forward_pre_hook(record) for layer in batch_norms(teacher)]
    try:
        teacher(images)
    except _PassStoppedError:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    if not recorded:
        return None
    moments: Array = torch.cat(recorded, 1).cpu().numpy()
    return moments


def _closest(moments: Array) -> Array:
    """Return the moments (2C,) closest to 0 that a set of images has (Frank and Wolfe 1956).

    Args:
        moments: (N, 2C), of each image.
    """
    count = max(1, round(MIN_SHARE * len(moments)))
    found: Array = moments.mean(0)
    for _ in range(STEPS):
        best = np.argpartition(moments @ found, count - 1)[:count]
        step = moments[best].mean(0) - found
        descent = -float(step @ found)
        if not descent > 1e-9:
            break
        found = found + min(1.0, descent / float(step @ step)) * step
    return found


def _reach_of(found: Array) -> Reach:
    """Return the reach of a set of images from its moments (2C,)."""
    means, seconds = np.split(found, 2)
    variances = np.maximum(seconds + 1 - means**2, 1e-12)
    return Reach(
        shift=float(np.abs(means).mean()),
        factor=math.exp(min(float(np.abs(np.log(variances)).mean()), 700.0)),
    )
