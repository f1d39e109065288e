"""Compute ReLU and ReLU6 in int8, so that ONNX Runtime runs the convolution before it in int8.

ONNX Runtime runs a convolution in int8 only if a Q follows it directly, or after a ReLU that it can
merge into the Q. It can merge them only if the quantizer's lowest value is 0. The lowest value of a
signed symmetric quantizer is negative, so a ReLU before it keeps the convolution in float.
"""

import numpy as np
from onnx import ModelProto, NodeProto, helper

from targets.graph.topology import Graph

MAX_LEVEL = 127
"""The highest level of a signed int8 quantizer."""


def with_integer_relus(model: ModelProto) -> ModelProto:
    """Add a quantizer before each ReLU that a quantizer follows.

    The results stay the same.

    x -> Relu -> Q becomes x -> Q -> DQ -> LeakyRelu(0) -> Q, all with one scale. Rounding and
    clipping keep signs, so ReLU can come before or after them. The second Q does not change values,
    because they are already multiples of the scale. LeakyRelu is the only ReLU for which ONNX
    Runtime has an int8 kernel. A Clip from 0 to at least the quantizer's largest value, such as
    ReLU6, is treated as a ReLU. A ReLU of values that are quantized already stays as it is.

    Args:
        model: A Q/DQ graph; changed in place.

    Returns:
        The same model.
    """
    graph = Graph(model)
    nodes: list[NodeProto] = []
    for node in graph.nodes:
        quantizer = graph.only_consumer(node.output[0])
        if quantizer is None or not _is_integer_relu(graph, node, quantizer):
            nodes.append(node)
            continue
        scale_and_zero, output = list(quantizer.input[1:]), node.output[0]
        levels, values = f"{output}_levels", f"{output}_values"
        quantized = [node.input[0], *scale_and_zero]
        nodes += [
            helper.make_node("QuantizeLinear", quantized, [levels], f"{levels}_q"),
            helper.make_node(
                "DequantizeLinear", [levels, *scale_and_zero], [values], f"{values}_dq"
            ),
            helper.make_node("LeakyRelu", [values], [output], f"{node.name}_integer", alpha=0.0),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _is_integer_relu(graph: Graph, node: NodeProto, quantizer: NodeProto) -> bool:
    """Return whether a ReLU in place of the node would give the same quantized values."""
    if quantizer.op_type != "QuantizeLinear" or node.op_type not in ("Relu", "Clip"):
        return False
    # ONNX Runtime merges two pairs of Q and DQ in a row, which changes their values.
    if graph.produced_by(node.input[0], "DequantizeLinear") is not None:
        return False
    zero = graph.constants.get(quantizer.input[2])
    if zero is not None and zero == np.iinfo(zero.dtype).min:
        return False  # ONNX Runtime merges the ReLU into this quantizer by itself.
    scale = graph.scale_of(quantizer)
    return node.op_type == "Relu" or (scale is not None and acts_as_relu(graph, node, scale))


def acts_as_relu(graph: Graph, clip: NodeProto, scale: float) -> bool:
    """Return whether a Clip changes quantized values only as a ReLU does.

    Args:
        graph: The graph.
        clip: The Clip before the quantizer.
        scale: Scale of the signed quantizer.
    """
    low, high = (graph.constants.get(name) for name in [*clip.input, "", ""][1:3])
    if low is None or high is None or float(low) != 0:
        return False
    # Any value above `high` rounds to the highest level, clipped or not.
    return float(high) > (MAX_LEVEL - 0.5) * scale * (1 + 1e-6)
