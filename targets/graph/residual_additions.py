"""Residual additions in the form that TensorRT fuses: only the identity branch is quantized."""

from onnx import ModelProto, NodeProto

from targets.graph.topology import LAYER_OPERATORS, Graph


def unquantize_convolution_branches(model: ModelProto) -> ModelProto:
    """Remove the Q/DQ between a convolution and the addition that follows it.

    TensorRT then fuses convolution, addition and ReLU into one kernel that rounds once. If both
    branches end in a convolution, the branch with more layers is the main branch and loses its
    Q/DQ; the other one is the shortcut and keeps them. A graph for ONNX Runtime keeps both, because
    without them the convolution would run in float.

    Args:
        model: A Q/DQ graph; changed in place.

    Returns:
        The same model. Its values differ by the rounding that is removed.
    """
    graph = Graph(model)
    depth = _depths(graph)
    removed: list[NodeProto] = []
    for addition in graph.nodes:
        if addition.op_type != "Add" or not all(map(graph.dequantizer_of, addition.input)):
            continue
        candidates = [i for i, name in enumerate(addition.input) if _is_removable(graph, name)]
        if not candidates:
            continue
        chosen = max(candidates, key=lambda index: depth[addition.input[index]])
        dequantize = graph.producer[addition.input[chosen]]
        quantize = graph.producer[dequantize.input[0]]
        addition.input[chosen] = quantize.input[0]
        removed += [quantize, dequantize]
    for node in removed:
        model.graph.node.remove(node)
    return model


def _is_removable(graph: Graph, tensor: str) -> bool:
    """Whether a branch of an addition is Conv -> Q -> DQ without any other consumer."""
    dequantize = graph.produced_by(tensor, "DequantizeLinear")
    quantize = dequantize and graph.produced_by(dequantize.input[0], "QuantizeLinear")
    if dequantize is None or quantize is None:
        return False
    tensors = (quantize.input[0], dequantize.input[0], tensor)
    return graph.produced_by(tensors[0], "Conv") is not None and all(
        map(graph.only_consumer, tensors)
    )


def _depths(graph: Graph) -> dict[str, int]:
    """Return the number of layers on the longest path to each tensor."""
    depth: dict[str, int] = {}
    for node in graph.nodes:
        before = max((depth.get(name, 0) for name in node.input), default=0)
        depth.update({name: before + (node.op_type in LAYER_OPERATORS) for name in node.output})
    return depth
