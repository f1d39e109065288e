"""Optimizers of torch and their learning rates, from a recipe's description."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dfkd.composition import AnyOptimizer, Sgd


def make_optimizer(
    optimizer: AnyOptimizer, parameters: Sequence[Any], lr: float | None = None
) -> torch.optim.Optimizer:
    """Return an optimizer of torch.

    Args:
        optimizer: The recipe's description.
        parameters: Tensors or parameter groups; a group's own "lr" has priority.
        lr: Learning rate in place of the description's.
    """
    rate = optimizer.lr if lr is None else lr
    if isinstance(optimizer, Sgd):
        return torch.optim.SGD(
            parameters,
            rate,
            momentum=optimizer.momentum,
            nesterov=optimizer.nesterov,
            weight_decay=optimizer.weight_decay,
        )
    return torch.optim.Adam(
        parameters, rate, betas=optimizer.betas, weight_decay=optimizer.weight_decay
    )


def rate_factor(optimizer: AnyOptimizer, progress: float) -> float:
    """Return the factor of the learning rate at a point of the run.

    Args:
        optimizer: The recipe's description.
        progress: Completed share of the run, from 0 to 1.

    Examples:
        >>> from dfkd.composition import Adam, StepRate
        >>> rate_factor(Adam(1e-3, policy=StepRate((0.5,))), progress=0.6)
        0.1
    """
    return optimizer.policy.factor(progress)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to `factor` times its initial one."""
    for group in optimizer.param_groups:
        base = group.setdefault("base_lr", group["lr"])
        group["lr"] = base * factor


def gradient_norm(parameters: Sequence[Tensor]) -> Tensor:
    """Return the norm over all gradients together, a scalar; 0 when there are none."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


def clip(parameters: Sequence[Tensor], optimizer: AnyOptimizer, norm: Tensor) -> None:
    """Scale the gradients down to the recipe's largest norm, if it has one.

    Args:
        parameters: Tensors with gradients.
        optimizer: The recipe's description.
        norm: The present norm, as `gradient_norm` returns it.
    """
    if optimizer.clip:
        torch.nn.utils.clip_grads_with_norm_(parameters, optimizer.clip, norm)
