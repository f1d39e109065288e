"""Compute torch.einsum with matrix products, which can be quantized and exported."""

from collections.abc import Sequence
from string import ascii_letters, digits
from typing import Any

import torch
from torch import Tensor, nn


def products_of(equation: Any, *operands: Any) -> tuple[list[str], str, Sequence[Tensor]] | None:
    """Return the arguments of `einsum` for a call of `torch.einsum`.

    Args:
        equation: The equation. In another form of the call, it is a tensor followed by axes.
        operands: The tensors, or one list of them.

    Returns:
        None if the call has only one operand or cannot be written as matrix products.
    """
    in_list = len(operands) == 1 and not isinstance(operands[0], Tensor)
    tensors = operands[0] if in_list else operands
    if not isinstance(equation, str) or len(tensors) < 2:
        return None
    parsed = parse(equation, [tensor.ndim for tensor in tensors])
    return None if parsed is None else (*parsed, tensors)


def parse(equation: str, dimensions: Sequence[int]) -> tuple[list[str], str] | None:
    """Return the indices of each operand and of the result, one letter per axis.

    An ellipsis is replaced by one digit for each of its axes.

    Args:
        equation: An equation of `torch.einsum`, such as "bchw,oc->bohw".
        dimensions: Number of axes of each operand.

    Returns:
        None if an operand repeats an index, as for a diagonal, or if the equation cannot be read.
    """
    left, _, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(dimensions) or not set(left + right) <= set(f",.{ascii_letters}"):
        return None
    free = [n - len(term.replace("...", "")) for n, term in zip(dimensions, terms, strict=True)]
    hidden = digits[: max(free)]
    terms = [
        term.replace("...", hidden[len(hidden) - count :])
        for term, count in zip(terms, free, strict=True)
    ]
    if any(len(set(term)) != len(term) for term in terms):
        return None
    if [len(term) for term in terms] != list(dimensions):
        return None
    if "->" in equation:
        return terms, right.replace("...", hidden)
    everything = "".join(terms)
    once = sorted(i for i in set(everything) if i.isalpha() and everything.count(i) == 1)
    return terms, hidden + "".join(once)


def einsum(terms: Sequence[str], result: str, operands: Sequence[Tensor]) -> Tensor:
    """Contract the operands from left to right.

    Args:
        terms: The indices of each operand, as `parse` returns them.
        result: The indices of the result.
        operands: The tensors. An axis with a digit is broadcast if its size is 1.

    Returns:
        The tensor that `torch.einsum` returns.
    """
    names, value = terms[0], operands[0]
    for number in range(1, len(operands)):
        needed = set(result).union(*terms[number + 1 :])
        names, value = _product(names, value, terms[number], operands[number], needed)
    names, value = _summed(names, value, set(result))
    return value.permute([names.index(name) for name in result])


def _product(first: str, a: Tensor, second: str, b: Tensor, needed: set[str]) -> tuple[str, Tensor]:
    """Multiply two tensors and sum over shared indices that are not in `needed`."""
    first, a = _summed(first, a, needed | set(second))
    second, b = _summed(second, b, needed | set(first))
    if isinstance(a, nn.Parameter):  # The weight is the second factor, as in a linear layer.
        first, a, second, b = second, b, first, a
    both = [name for name in first if name in second]
    summed = [name for name in both if name not in needed]
    batch = [name for name in both if name in needed]
    left = [name for name in first if name not in both]
    right = [name for name in second if name not in both]
    if not summed:
        order = [*batch, *left, *right]
        return "".join(order), _spread(first, a, order) * _spread(second, b, order)
    sizes_left = [a.shape[first.index(name)] for name in left]
    sizes_right = [b.shape[second.index(name)] for name in right]
    a = a.permute([first.index(name) for name in [*batch, *left, *summed]])
    b = b.permute([second.index(name) for name in [*batch, *summed, *right]])
    start = len(batch)
    a, b = _merged(a, start + len(left), len(summed)), _merged(b, start, len(summed))
    b = _merged(b, start + 1, len(right))
    if batch:
        a = _merged(a, start, len(left))
    product = torch.matmul(a, b)
    product = _split(product, product.ndim - 1, sizes_right)
    if batch:
        product = _split(product, start, sizes_left)
    return "".join([*batch, *left, *right]), product


def _summed(names: str, value: Tensor, needed: set[str]) -> tuple[str, Tensor]:
    """Sum over the indices that are not in `needed`."""
    axes = [axis for axis, name in enumerate(names) if name not in needed]
    return "".join(name for name in names if name in needed), value.sum(axes) if axes else value


def _spread(names: str, value: Tensor, order: Sequence[str]) -> Tensor:
    """Return the tensor with one axis per index of `order`; missing axes get size 1."""
    value = value.permute([names.index(name) for name in order if name in names])
    for axis, name in enumerate(order):
        if name not in names:
            value = value.unsqueeze(axis)
    return value


def _merged(value: Tensor, start: int, count: int) -> Tensor:
    """Merge `count` adjacent axes into one; for 0 axes, insert an axis of size 1."""
    if count == 0:
        return value.unsqueeze(start)
    return value if count == 1 else value.flatten(start, start + count - 1)


def _split(value: Tensor, axis: int, sizes: Sequence[int]) -> Tensor:
    """Undo `_merged`."""
    if not sizes:
        return value.squeeze(axis)
    return value if len(sizes) == 1 else value.unflatten(axis, list(sizes))
