"""Remove quantizers that keep TensorRT from fusing a convolution with the next function."""

from onnx import ModelProto, NodeProto

from targets.graph.topology import LAYER_OPERATORS, MOVEMENT_OPERATORS, Graph

READERS = (*LAYER_OPERATORS, "Add")
"""Operators that TensorRT runs in int8 if their inputs come from a Q/DQ."""

MOVES = (*MOVEMENT_OPERATORS, "Split")


def unquantize_unused_outputs(model: ModelProto) -> ModelProto:
    """Remove the Q/DQ after a convolution if no layer and no addition reads the quantized values.

    Such a Q/DQ is followed by a SiLU, a concatenation or another function. TensorRT fuses the
    convolution with that function only if no Q/DQ is between them. A graph for ONNX Runtime keeps
    the Q/DQ, because otherwise the convolution would run in float.

    Args:
        model: A Q/DQ graph; changed in place.

    Returns:
        The same model. Its results change slightly, because a rounding is removed.
    """
    graph = Graph(model)
    removed: list[NodeProto] = []
    for quantize in graph.nodes:
        dequantize = graph.only_consumer(quantize.output[0])
        if quantize.op_type != "QuantizeLinear" or dequantize is None:
            continue
        if not _follows_convolution(graph, quantize) or _is_read(graph, dequantize.output[0]):
            continue
        for node in graph.consumers.get(dequantize.output[0], []):
            for index, name in enumerate(node.input):
                if name == dequantize.output[0]:
                    node.input[index] = quantize.input[0]
        removed += [quantize, dequantize]
    for node in removed:
        model.graph.node.remove(node)
    return model


def _follows_convolution(graph: Graph, quantize: NodeProto) -> bool:
    tensor = quantize.input[0]
    relu = graph.produced_by(tensor, "Relu", "Clip")
    return graph.produced_by(relu.input[0] if relu is not None else tensor, "Conv") is not None


def _is_read(graph: Graph, tensor: str) -> bool:
    """Return whether a layer or an addition reads a tensor, directly or after it was moved."""
    return tensor in graph.outputs or any(
        node.op_type in READERS
        or (node.op_type in MOVES and any(_is_read(graph, output) for output in node.output))
        for node in graph.consumers.get(tensor, [])
    )
