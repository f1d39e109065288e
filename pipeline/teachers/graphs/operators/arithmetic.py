"""Element-wise operators and reductions."""

import operator
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor

from pipeline.teachers.graphs.builder import to_tensor
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.node import Node
from pipeline.teachers.graphs.operators.layers import fused_bias
from pipeline.teachers.graphs.values import Static, Traced, Value

Function = Callable[..., Any]

TYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.BOOL: torch.bool,
}
"""The types that Cast can make."""


def unary(function: Function) -> Callable[[Node], Traced]:
    """Return the converter of an operator with one input and no settings."""
    return lambda node: node.call(function, node.traced())


def binary(function: Function) -> Callable[[Node], Traced]:
    """Return the converter of an operator with two inputs that broadcast."""
    return lambda node: _binary(node, function, node.value(0), node.value(1))


def variadic(function: Function) -> Callable[[Node], Traced]:
    """Return the converter of an operator that combines any number of inputs in pairs."""

    def convert(node: Node) -> Traced:
        found = reduce(lambda a, b: _binary(node, function, a, b), node.inputs)
        assert isinstance(found, Traced)
        return found

    return convert


def add(node: Node) -> Traced:
    """Convert Add; a constant after a layer becomes the layer's bias."""
    return fused_bias(node) or _binary(node, torch.add, node.value(0), node.value(1))


def mean(node: Node) -> Traced:
    """Convert Mean."""
    return node.call(partial(torch.div, other=len(node.inputs)), variadic(torch.add)(node))


def where(node: Node) -> Traced:
    """Convert Where."""
    return node.call(torch.where)


def cast(node: Node) -> Traced:
    """Convert Cast."""
    images, to = node.traced(), node.attribute("to")
    if to not in TYPES:
        raise GraphError(
            f"makes values of type {TensorProto.DataType.Name(to)}; export the network in float32"
        )
    if images.examples[0].dtype == TYPES[to]:
        return images
    return node.call(partial(_to, dtype=TYPES[to]))


def cast_like(node: Node) -> Value:
    """Convert CastLike."""
    value, like = node.value(0), node.value(1)
    if isinstance(value, Static) and isinstance(like, Traced):
        array_type = torch.empty(0, dtype=like.examples[0].dtype).numpy().dtype
        first, second = (array.astype(array_type) for array in value.arrays)
        return Static((first, second), node.proto.output[0])
    images = node.traced()
    if isinstance(like, Traced):
        kind = like.examples[0].dtype
    else:
        kind = to_tensor(node.static(1).arrays[0]).dtype
    return (
        images if images.examples[0].dtype == kind else node.call(partial(_to, dtype=kind), images)
    )


def reduction(function: Function, *, several: bool = True) -> Callable[[Node], Traced]:
    """Return the converter of a Reduce operator.

    Args:
        function: Takes a tensor, `dim` and `keepdim`.
        several: Whether `dim` may list several axes.
    """

    def convert(node: Node) -> Traced:
        images = node.traced()
        axes = node.integers("axes", 1)
        if not axes and node.attribute("noop_with_empty_axes", 0):
            return images
        axes = sorted(axis % images.ndim for axis in axes or range(images.ndim))
        if images.batch_axis in axes:
            raise GraphError("mixes the images of a batch; export the network in eval mode")
        if not several and len(axes) > 1:
            raise GraphError("reduces several axes at once; only one is supported")
        keep = bool(node.attribute("keepdims", 1))
        dim = tuple(axes) if several else axes[0]
        return node.call(partial(function, dim=dim, keepdim=keep), images)

    return convert


def l1(images: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """Return the sum of absolute values."""
    return images.abs().sum(dim, keepdim=keepdim)


def l2(images: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """Return the root of the sum of squares."""
    return images.square().sum(dim, keepdim=keepdim).sqrt()


def log_sum(images: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """Return the logarithm of the sum."""
    return images.sum(dim, keepdim=keepdim).log()


def sum_square(images: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """Return the sum of squares."""
    return images.square().sum(dim, keepdim=keepdim)


NUMERIC: dict[Function, Function] = {
    torch.add: operator.add,
    torch.sub: operator.sub,
    torch.mul: operator.mul,
    torch.div: operator.truediv,
    torch.pow: operator.pow,
}
"""Functions that also take a number, which is easier to quantize and to export than a tensor."""


def _binary(node: Node, function: Function, first: Value | None, second: Value | None) -> Traced:
    """Call a function of two values; a constant of one value becomes a number if possible."""
    with_number = NUMERIC.get(function)
    if with_number is not None:
        number = _number(second)
        if number is not None:
            return node.call(partial(_with_second, function=with_number, second=number), first)
        number = _number(first)
        if number is not None:
            return node.call(partial(with_number, number), second)
    return node.call(function, first, second)


def _number(value: Value | None) -> Any:
    """Return the value of a constant with a single value and at most one axis, or None."""
    constant = value.constant if isinstance(value, Static) else None
    return constant.item() if constant is not None and constant.shape in ((), (1,)) else None


def _with_second(tensor: Tensor, *, function: Function, second: Any) -> Tensor:
    result: Tensor = function(tensor, second)
    return result


def _to(tensor: Tensor, *, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype)
