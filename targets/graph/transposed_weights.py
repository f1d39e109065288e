"""Store transposed weights, so that a matrix product reads its weight from a DequantizeLinear.

torch stores the weight of a linear layer transposed. For inputs of rank 3, the exported
graph transposes the dequantized weight in each run. Neither ONNX Runtime nor TensorRT then
recognises a quantized product.
"""

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from targets.graph.topology import Graph, attribute


def store_transposed_weights(model: ModelProto) -> ModelProto:
    """Replace the Transpose of a quantized constant by Q/DQ on the transposed constant.

    The outputs of the graph stay the same.

    Args:
        model: A Q/DQ graph with float weights; changed in place.

    Returns:
        The same model.
    """
    graph = Graph(model)
    nodes: list[NodeProto] = []
    for node in graph.nodes:
        pair = _weight_pair(graph, node)
        nodes += [node] if pair is None else _transposed(model, graph, node, *pair)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _remove_unused(model)
    return model


def _weight_pair(graph: Graph, node: NodeProto) -> tuple[NodeProto, NodeProto] | None:
    """Return the Q and DQ of the constant that a node transposes, or None."""
    if node.op_type != "Transpose":
        return None
    dequantize = graph.produced_by(node.input[0], "DequantizeLinear")
    quantize = dequantize and graph.produced_by(dequantize.input[0], "QuantizeLinear")
    if dequantize is None or quantize is None or quantize.input[0] not in graph.constants:
        return None
    return quantize, dequantize


def _transposed(
    model: ModelProto, graph: Graph, node: NodeProto, quantize: NodeProto, dequantize: NodeProto
) -> list[NodeProto]:
    weight, output = graph.constants[quantize.input[0]], node.output[0]
    order = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
    order = order or list(range(weight.ndim))[::-1]
    stored, levels = f"{output}_weight", f"{output}_levels"
    transposed = np.ascontiguousarray(weight.transpose(order))
    model.graph.initializer.append(numpy_helper.from_array(transposed, stored))
    axis = order.index(attribute(dequantize, "axis", 1) % weight.ndim)
    parameters = list(quantize.input[1:])
    return [
        helper.make_node(
            "QuantizeLinear", [stored, *parameters], [levels], f"{output}_q", axis=axis
        ),
        helper.make_node(
            "DequantizeLinear", [levels, *parameters], [output], f"{output}_dq", axis=axis
        ),
    ]


def _remove_unused(model: ModelProto) -> None:
    """Remove nodes and initializers that no node and no output uses."""
    outputs = {output.name for output in model.graph.output}
    while True:
        used = outputs | {name for node in model.graph.node for name in node.input}
        unused = [node for node in model.graph.node if not used & set(node.output)]
        for node in unused:
            model.graph.node.remove(node)
        if not unused:
            break
    for tensor in [t for t in model.graph.initializer if t.name not in used]:
        model.graph.initializer.remove(tensor)
