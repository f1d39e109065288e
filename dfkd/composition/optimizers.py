"""How a network is optimized, and how the learning rate changes over a run."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ConstantRate:
    """The learning rate is constant."""

    def factor(self, progress: float) -> float:
        """Return the factor of the learning rate at a progress from 0 (start) to 1 (end)."""
        return 1.0


@dataclass(frozen=True)
class CosineRate:
    """The learning rate falls along a cosine.

    Attributes:
        final: The learning rate at the end, as a fraction of the initial one.
    """

    final: float = 0.01

    def factor(self, progress: float) -> float:
        """Return the factor of the learning rate at a progress from 0 (start) to 1 (end)."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class StepRate:
    """The learning rate is divided by ten at each milestone.

    Attributes:
        milestones: The progress at each division, from 0 (start) to 1 (end).
    """

    milestones: tuple[float, ...]

    def factor(self, progress: float) -> float:
        """Return the factor of the learning rate at a progress from 0 (start) to 1 (end)."""
        return 0.1 ** sum(progress >= milestone for milestone in self.milestones)


AnyRatePolicy = ConstantRate | CosineRate | StepRate
"""How a learning rate changes over a run."""


@dataclass(frozen=True)
class Adam:
    """The Adam optimizer.

    Attributes:
        lr: Learning rate.
        betas: Decay rates of the two moments.
        weight_decay: Factor of the L2 penalty.
        policy: How the learning rate changes over the run.
        clip: Largest norm of the gradient; a larger gradient is scaled down. 0 means no limit.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    policy: AnyRatePolicy = CosineRate()
    clip: float = 0.0


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent with momentum.

    Attributes:
        lr: Learning rate.
        momentum: Factor of the previous update.
        nesterov: Whether to use Nesterov momentum.
        weight_decay: Factor of the L2 penalty.
        policy: How the learning rate changes over the run.
        clip: Largest norm of the gradient; a larger gradient is scaled down. 0 means no limit.
    """

    lr: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    policy: AnyRatePolicy = CosineRate()
    clip: float = 0.0


AnyOptimizer = Adam | Sgd
"""How one network is optimized."""
