"""Statistics of a round for the health checks, which need no real data."""

import math
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class RoundStatistics:
    """The values of one round that health checks use.

    Attributes:
        histogram: Number of the last images that the teacher predicts as each class.
        spread: Root mean square distance of pairs of these images, per pixel; None in a round
            without images.
        losses: Last loss of each network, by name.
        gradients: Norm of the last gradient of each network, by name.
    """

    histogram: list[int]
    spread: float | None
    losses: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)


def effective_classes(histogram: list[int]) -> float:
    """Return the exp of the entropy of a histogram.

    The value is K for K equally frequent classes, and 1 for a single class.

    Examples:
        >>> round(effective_classes([5, 5, 0]), 6)
        2.0
    """
    total = sum(histogram)
    shares = [count / total for count in histogram if count]
    return math.exp(-sum(share * math.log(share) for share in shares))


def pairwise_spread(images: Tensor) -> float:
    """Return the root mean square distance between pairs of images (N, C, H, W), per pixel.

    The mean square distance over all pairs of different images equals twice the unbiased variance
    over the batch.
    """
    if len(images) < 2:
        return 0.0
    return (2 * images.float().var(0).mean()).sqrt().item()
