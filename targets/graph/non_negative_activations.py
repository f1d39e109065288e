"""Give activations that are never negative all 256 levels, for x86.

A signed symmetric quantizer has 127 levels above 0. Behind a ReLU the other half is never used. An
unsigned quantizer with zero point 0 has twice as many levels in the same range, and ONNX Runtime
merges a ReLU into it, so that the convolution before the ReLU runs in int8 by itself.
"""

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from targets.graph.integer_relu import acts_as_relu
from targets.graph.topology import MOVEMENT_OPERATORS, QDQ_OPERATORS, Graph

ZERO_POINT_NAME = "zero_point_0"

SIGNED_LEVELS, UNSIGNED_LEVELS = 127, 255
"""Steps between 0 and the largest value of a quantizer."""

NON_NEGATIVE_OPERATORS = ("Relu", "Sigmoid", "HardSigmoid", "Softmax")
"""Operators whose outputs are never negative."""

KEEPING_OPERATORS = (
    *MOVEMENT_OPERATORS,
    *QDQ_OPERATORS,
    *("Add", "Mul", "Concat", "Split", "AveragePool", "GlobalAveragePool", "ReduceMean"),
)
"""Operators whose outputs are not negative if no input is negative."""


def with_unsigned_non_negatives(model: ModelProto) -> ModelProto:
    """Make the quantizers of activations that are never negative unsigned.

    The largest value of a quantizer stays the same, and its steps become 127 / 255 of what they
    were. So the values change, by at most half a step of the signed quantizer, and are closer to
    those of the float graph.

    Args:
        model: A graph with symmetric signed Q/DQ; changed in place.

    Returns:
        The same model.
    """
    graph = Graph(model)
    quantizers = _quantizers(graph, _non_negative_tensors(graph))
    scales: dict[str, float] = {}
    for quantizer, scale in quantizers:
        name = f"{quantizer.input[1]}_unsigned"
        scales[name] = scale * SIGNED_LEVELS / UNSIGNED_LEVELS
        for node in (quantizer, *graph.consumers[quantizer.output[0]]):
            node.input[1], node.input[2] = name, ZERO_POINT_NAME
        clip = graph.producer[quantizer.input[0]]
        if clip.op_type == "Clip" and acts_as_relu(graph, clip, scale):
            del clip.input[1:]
            clip.op_type = "Relu"
    constants = {name: np.array(scale, np.float32) for name, scale in scales.items()}
    if constants:
        constants[ZERO_POINT_NAME] = np.array(0, np.uint8)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    return model


def _non_negative_tensors(graph: Graph) -> set[str]:
    """Return the names of the activations that are never negative."""
    found = {name for name, value in graph.constants.items() if value.size and value.min() >= 0}
    for node in graph.nodes:  # Each node comes after those that compute its inputs.
        low = graph.constants.get(node.input[1]) if len(node.input) > 1 else None
        if (
            node.op_type in NON_NEGATIVE_OPERATORS
            or (node.op_type == "Clip" and low is not None and float(low) >= 0)
            or (node.op_type in KEEPING_OPERATORS and _values(graph, node) <= found)
        ):
            found.update(node.output)
    return found


def _values(graph: Graph, node: NodeProto) -> set[str]:
    """Return the inputs of a node that are values, not shapes, axes, scales or zero points."""
    if node.op_type in ("Add", "Mul", "Concat"):
        return set(node.input)
    return {node.input[0]}


def _quantizers(graph: Graph, non_negative: set[str]) -> list[tuple[NodeProto, float]]:
    """Return the quantizers of non-negative activations, with their scales."""
    found = []
    for node in graph.nodes:
        scale = graph.scale_of(node) if node.op_type == "QuantizeLinear" else None
        if scale is None or node.input[0] not in non_negative or graph.is_weight(node.input[0]):
            continue
        relu = graph.produced_by(node.input[0], "Relu", "Clip")
        # ONNX Runtime merges two pairs of Q and DQ in a row, which changes their values.
        if relu is not None and graph.produced_by(relu.input[0], "DequantizeLinear") is not None:
            continue
        found.append((node, scale))
    return found
