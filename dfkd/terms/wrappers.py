"""Wrappers: functions that change a term's value before it is weighted."""

import torch
from torch import Tensor

from dfkd.composition import AnyWrapper, Bounded, ExpIncrement, Log1p
from dfkd.references import load
from dfkd.terms.table import WRAPPERS

LARGEST_EXPONENT = 10.0
"""Bound of the exponent of ExpIncrement, which would otherwise overflow in the first steps."""


def wrapped(value: Tensor, wrapper: AnyWrapper | None, reference: float = 0.0) -> Tensor:
    """Return a term's value, changed by its wrapper.

    Args:
        value: A scalar.
        wrapper: The wrapper in the recipe; with None the value is returned unchanged.
        reference: An earlier value of the term, which `ExpIncrement` uses.

    Examples:
        >>> wrapped(torch.tensor(-3.0), Bounded(1.0)).item()
        -1.0
    """
    if wrapper is None:
        return value
    result: Tensor = load(WRAPPERS[type(wrapper)])(value, wrapper, reference)
    return result


def exp_increment(value: Tensor, wrapper: ExpIncrement, reference: float) -> Tensor:
    """Return exp(value - reference) (RDSKD, Han et al. 2021).

    If the absolute value of the exponent is above `LARGEST_EXPONENT`, the result is linear, with
    the gradient at that bound.
    """
    over = value - reference
    inside = over.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT)
    return inside.exp() + (over - inside) * inside.detach().exp()


def bounded(value: Tensor, wrapper: Bounded, reference: float) -> Tensor:
    """Return max(value, -bound) (MAD, Do et al. 2022)."""
    return value.clamp_min(-wrapper.bound)


def log1p(value: Tensor, wrapper: Log1p, reference: float) -> Tensor:
    """Return -log(1 - value) for a value that is never positive (DFAD, Fang et al. 2019)."""
    return -torch.log1p(-value)
