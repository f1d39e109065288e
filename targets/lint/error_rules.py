"""Rules of explicit int8 quantization whose violation makes TensorRT refuse a graph.

Sources: TensorRT developer guide, "Working with Quantized Types"; for zero points, issues
NVIDIA/TensorRT 2081, 2644, 2774 and 4698.
"""

from collections.abc import Callable, Iterator

import numpy as np
from onnx import NodeProto, TensorProto

from targets.graph.topology import (
    LAYER_OPERATORS,
    QDQ_OPERATORS,
    Array,
    Graph,
    attribute,
    operator,
    output_axis,
)
from targets.lint.finding import Finding, error, quantizers
from targets.lint.unchecked import MOVES, checked_quantizers, is_checked, moved_by, type_name

INTEGER_OPERATORS = {
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeLinear",
}
"""Operators on integer tensors, which TensorRT's parser does not support."""


def no_identity_on_constants(graph: Graph) -> Iterator[Finding]:
    """Scales and weights are initializers: TensorRT 8 accepts no Identity after them."""
    for node in graph.nodes:
        if operator(node) != "Identity" or not graph.is_weight(node.input[0]):
            continue
        if any(
            operator(user) in (*QDQ_OPERATORS, *LAYER_OPERATORS)
            for user in graph.consumers.get(node.output[0], [])
        ):
            yield error(
                node, "Identity on a constant, which TensorRT 8 refuses", "remove the Identity"
            )


def no_integer_operators(graph: Graph) -> Iterator[Finding]:
    """Integer arithmetic is expressed by Q/DQ around float operators."""
    for node in graph.nodes:
        if operator(node) in INTEGER_OPERATORS:
            yield error(node, f"unsupported operator {node.op_type}", "export pairs of Q and DQ")


def constant_scales(graph: Graph) -> Iterator[Finding]:
    """Scales are positive, finite constants."""
    for node in checked_quantizers(graph):
        scale = graph.constants.get(node.input[1])
        if scale is None:
            yield error(node, "the scale is not a constant", "store it as an initializer")
        elif not _is_positive(scale):
            yield error(node, "the scale is not positive and finite", "calibrate again")


def _is_positive(scale: Array) -> bool:
    if scale.dtype == object:  # Text.
        return False
    return bool(np.isfinite(scale.astype(np.float32)).all() and (scale > 0).all())


def zero_points(graph: Graph) -> Iterator[Finding]:
    """Quantization is symmetric and signed: every zero point is an int8 0."""
    for node in checked_quantizers(graph):
        if len(node.input) < 3 or not node.input[2]:
            yield from _without_zero_point(graph, node)
            continue
        zero = graph.constants.get(node.input[2])
        if zero is not None and zero.dtype == np.int32:
            continue
        if zero is None or zero.dtype != np.int8 or zero.any():
            yield error(node, "the zero point is not an int8 0", "use symmetric signed ranges")


def _without_zero_point(graph: Graph, node: NodeProto) -> Iterator[Finding]:
    """Without a zero point, it is 0 and has the type of the integers."""
    if operator(node) == "DequantizeLinear":
        levels = graph.constants.get(node.input[0])
        if levels is not None and levels.dtype == np.uint8:
            yield error(node, "the quantized values are uint8", "use symmetric signed ranges")
    elif not attribute(node, "output_dtype"):
        yield error(node, "no zero point, which means uint8", "add an int8 zero point of 0")


def output_types(graph: Graph) -> Iterator[Finding]:
    """A Q that names the type of its output names int8."""
    for node in checked_quantizers(graph):
        if operator(node) == "QuantizeLinear":
            kind = attribute(node, "output_dtype", 0)
            if kind not in (TensorProto.UNDEFINED, TensorProto.INT8):
                yield error(node, f"output_dtype is {type_name(kind)}, not INT8", "use INT8")


def float_bias(graph: Graph) -> Iterator[Finding]:
    """Biases stay in float: TensorRT's DequantizeLinear accepts no int32."""
    for node in quantizers(graph):
        values = graph.constants.get(node.input[0])
        if values is not None and values.dtype == np.int32:
            yield error(node, "the bias is quantized", "keep biases in float")


def activations_per_tensor(graph: Graph) -> Iterator[Finding]:
    """Activations have one scale per tensor."""
    for node in checked_quantizers(graph):
        scale = graph.constants.get(node.input[1])
        if scale is None or scale.size == 1 or graph.is_weight(node.input[0]):
            continue
        if moved_by(graph, node.output[0]) is None:
            yield error(node, "activations with several scales", "quantize activations per tensor")


def weights_per_output_channel(graph: Graph) -> Iterator[Finding]:
    """Weights have one scale per output channel, or one in all.

    A transposed convolution has one scale per input channel: TensorRT takes axis 0 only.
    """
    for layer in graph.layers():
        weight = graph.produced_by(layer.input[1], "DequantizeLinear")
        if weight is None or not graph.is_weight(weight.output[0]) or not is_checked(graph, weight):
            continue
        scale = graph.constants.get(weight.input[1])
        if scale is None or scale.size == 1:
            continue
        transposed = operator(layer) == "ConvTranspose"
        axis = attribute(weight, "axis", 1)
        wanted = _from_start(graph, layer, 0 if transposed else output_axis(layer))
        if _from_start(graph, layer, axis) != wanted:
            yield error(
                layer,
                f"weight scales along axis {axis}, not {wanted}",
                f"quantize per {'input' if transposed else 'output'} channel",
            )
        if graph.opset < 13:
            yield error(
                weight, "per-channel scales below opset 13", "export with opset 13 or newer"
            )


def _from_start(graph: Graph, layer: NodeProto, axis: int) -> int:
    """Return an axis of a layer's weights, counted from the first one."""
    weights = graph.weight_of(layer)
    return axis if axis >= 0 or weights is None else axis + weights.ndim


def constant_weights(graph: Graph) -> Iterator[Finding]:
    """Quantized weights are constants: TensorRT 8 quantizes them during the build."""
    for layer in graph.layers():
        weight = graph.produced_by(layer.input[1], "DequantizeLinear")
        if (
            weight is not None
            and not graph.is_weight(weight.output[0])
            and moved_by(graph, weight.output[0]) is None
            and operator(layer) != "MatMul"
        ):
            yield error(
                layer, "the quantized weights are not constants", "store them as initializers"
            )


def dequantize_after_quantize(graph: Graph) -> Iterator[Finding]:
    """Every Q is followed by a DQ directly; all other operators take float tensors."""
    for node in graph.nodes:
        if operator(node) == "QuantizeLinear" and not _is_dequantized(graph, node.output[0]):
            yield error(node, "no DequantizeLinear follows", "export pairs of Q and DQ")


def _is_dequantized(graph: Graph, levels: str) -> bool:
    """Return whether only DQs use quantized values; weights may be moved before."""
    users = graph.consumers.get(levels, [])
    return bool(users) and all(
        operator(user) == "DequantizeLinear"
        or (
            operator(user) in MOVES
            and graph.is_weight(levels)
            and _is_dequantized(graph, user.output[0])
        )
        for user in users
    )


def no_double(graph: Graph) -> Iterator[Finding]:
    """There is no float64: TensorRT does not support it."""
    for node in graph.nodes:
        if any(
            name in graph.constants and graph.constants[name].dtype == np.float64
            for name in node.input
        ):
            yield error(node, "float64 constant", "store it as float32")


ERROR_RULES: tuple[Callable[[Graph], Iterator[Finding]], ...] = (
    no_identity_on_constants,
    no_integer_operators,
    constant_scales,
    zero_points,
    output_types,
    float_bias,
    activations_per_tensor,
    weights_per_output_channel,
    constant_weights,
    dequantize_after_quantize,
    no_double,
)
