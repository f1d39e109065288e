"""What TensorRT refuses: the rules of explicit int8 quantization, one function each.

Sources: TensorRT's developer guide, "Working with Quantized Types"; on zero points the issues
NVIDIA/TensorRT 2081, 2644, 2774, 4698.
"""

from collections.abc import Callable, Iterator

import numpy as np

from targets.graph.topology import LAYER_OPERATORS, QDQ_OPERATORS, Graph, attribute, output_axis
from targets.lint.finding import Finding, error, quantizers

INTEGER_OPERATORS = {
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeLinear",
}
"""Operators that carry integers themselves; TensorRT's parser has none of them."""


def no_identity(graph: Graph) -> Iterator[Finding]:
    """TensorRT 8 wants scales and weights as initialisers, with nothing between."""
    for node in graph.nodes:
        if node.op_type != "Identity" or not graph.is_weight(node.input[0]):
            continue
        if any(
            user.op_type in (*QDQ_OPERATORS, *LAYER_OPERATORS)
            for user in graph.consumers.get(node.output[0], [])
        ):
            yield error(node, "no Identity on a constant: TensorRT 8 refuses it", "fold it")


def no_integer_operators(graph: Graph) -> Iterator[Finding]:
    """Integer arithmetic is said by Q/DQ around float operators."""
    for node in graph.nodes:
        if node.op_type in INTEGER_OPERATORS:
            yield error(node, f"{node.op_type} is not supported", "export QuantizeLinear pairs")


def constant_scales(graph: Graph) -> Iterator[Finding]:
    """Scales are constants, positive and finite."""
    for node in quantizers(graph):
        scale = graph.constants.get(node.input[1])
        if scale is None:
            yield error(node, "the scale is a constant", "store it as an initialiser")
        elif not (np.isfinite(scale).all() and (scale > 0).all()):
            yield error(node, "the scale is positive and finite", "calibrate again")


def zero_points(graph: Graph) -> Iterator[Finding]:
    """Symmetric and signed: every zero point is an int8 0."""
    for node in quantizers(graph):
        if len(node.input) < 3:
            if node.op_type == "QuantizeLinear" and not attribute(node, "output_dtype"):
                yield error(node, "a missing zero point means uint8", "give an int8 one of 0")
            continue
        zero = graph.constants.get(node.input[2])
        if zero is not None and zero.dtype == np.int32:
            continue
        if zero is None or zero.dtype != np.int8 or zero.any():
            yield error(node, "the zero point is int8 and 0", "quantize symmetrically and signed")


def float_bias(graph: Graph) -> Iterator[Finding]:
    """A bias stays in float; TensorRT's DequantizeLinear takes no int32."""
    for node in quantizers(graph):
        values = graph.constants.get(node.input[0])
        if values is not None and values.dtype == np.int32:
            yield error(node, "a bias stays in float", "export without quantizing biases")


def activations_per_tensor(graph: Graph) -> Iterator[Finding]:
    """One scale for a tensor of activations."""
    for node in quantizers(graph):
        scale = graph.constants.get(node.input[1])
        if scale is not None and scale.size > 1 and not graph.is_weight(node.input[0]):
            yield error(node, "activations have one scale a tensor", "quantize per tensor")


def weights_per_output_channel(graph: Graph) -> Iterator[Finding]:
    """Scales of weights lie along the output channels."""
    for layer in graph.layers():
        weight = graph.produced_by(layer.input[1], "DequantizeLinear")
        if weight is None or not graph.is_weight(weight.output[0]):
            continue
        scale = graph.constants.get(weight.input[1])
        if scale is None or scale.size == 1:
            continue
        axis, wanted = attribute(weight, "axis", 1), output_axis(layer)
        if axis != wanted:
            yield error(
                layer, f"weights are scaled along axis {wanted}", "quantize per output channel"
            )
        if graph.opset < 13:
            yield error(weight, "a scale for each channel needs opset 13", "export with opset 13")


def constant_weights(graph: Graph) -> Iterator[Finding]:
    """TensorRT 8 quantizes weights when it builds, so they must be there."""
    for layer in graph.layers():
        weight = graph.produced_by(layer.input[1], "DequantizeLinear")
        if (
            weight is not None
            and not graph.is_weight(weight.output[0])
            and layer.op_type != "MatMul"
        ):
            yield error(layer, "quantized weights are constants", "store them as initialisers")


def pairs(graph: Graph) -> Iterator[Finding]:
    """What is quantized is dequantized at once: the pair says int8, the operators stay float."""
    for node in graph.nodes:
        if node.op_type == "QuantizeLinear":
            users = graph.consumers.get(node.output[0], [])
            if not users or any(user.op_type != "DequantizeLinear" for user in users):
                yield error(node, "a DequantizeLinear follows", "export QuantizeLinear pairs")


def no_double(graph: Graph) -> Iterator[Finding]:
    """TensorRT has no float64."""
    for node in graph.nodes:
        if any(
            name in graph.constants and graph.constants[name].dtype == np.float64
            for name in node.input
        ):
            yield error(node, "no float64", "store its constants as float32")


ERROR_RULES: tuple[Callable[[Graph], Iterator[Finding]], ...] = (
    no_identity,
    no_integer_operators,
    constant_scales,
    zero_points,
    float_bias,
    activations_per_tensor,
    weights_per_output_channel,
    constant_weights,
    pairs,
    no_double,
)
