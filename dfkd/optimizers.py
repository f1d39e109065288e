"""Torch optimizers and their learning rates, made from a recipe's description."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dfkd.composition import AnyOptimizer, Sgd


def make_optimizer(
    optimizer: AnyOptimizer, parameters: Sequence[Any], lr: float | None = None
) -> torch.optim.Optimizer:
    """Return a torch optimizer.

    Args:
        optimizer: The recipe's description.
        parameters: Tensors or parameter groups; a group's own "lr" has priority.
        lr: Learning rate to use instead of the description's; None uses the description's.
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
    """Return the factor of the learning rate at a given progress.

    Args:
        optimizer: The recipe's description.
        progress: The progress of the run, from 0 (start) to 1 (end).

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
    """Return the scalar norm of all gradients as one vector; 0 if there are no gradients."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


def clip(parameters: Sequence[Tensor], optimizer: AnyOptimizer, norm: Tensor) -> None:
    """Scale the gradients down to the largest norm that the recipe allows, if it has a limit.

    Args:
        parameters: Tensors with gradients.
        optimizer: The recipe's description.
        norm: The current norm, as `gradient_norm` returns it.
    """
    if optimizer.clip:
        torch.nn.utils.clip_grads_with_norm_(parameters, optimizer.clip, norm)
