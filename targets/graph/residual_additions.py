"""Residual additions as TensorRT fuses them: the identity is quantized, the convolution is not."""

from onnx import ModelProto, NodeProto

from targets.graph.topology import LAYER_OPERATORS, Graph


def unquantize_convolution_branches(model: ModelProto) -> ModelProto:
    """Drop the Q/DQ between a convolution and the addition it ends in, in place.

    TensorRT then fuses convolution, addition and ReLU into one kernel that rounds once. Where both
    branches end in a convolution, the one with more layers behind it is the main branch and goes
    free; the other is the shortcut. A graph for ONNX Runtime keeps the pair, without which the
    convolution would run in float.

    Returns:
        The same model; it differs by the rounding that is left out.
    """
    graph = Graph(model)
    depth = _depths(graph)
    dropped: list[NodeProto] = []
    for addition in graph.nodes:
        if addition.op_type != "Add" or not all(map(graph.dequantizer_of, addition.input)):
            continue
        free = [index for index, name in enumerate(addition.input) if _freeable(graph, name)]
        if not free:
            continue
        chosen = max(free, key=lambda index: depth[addition.input[index]])
        dequantize = graph.producer[addition.input[chosen]]
        quantize = graph.producer[dequantize.input[0]]
        addition.input[chosen] = quantize.input[0]
        dropped += [quantize, dequantize]
    for node in dropped:
        model.graph.node.remove(node)
    return model


def _freeable(graph: Graph, tensor: str) -> bool:
    """Whether a branch of an addition is Conv -> Q -> DQ and nobody else looks at it on its way."""
    dequantize = graph.produced_by(tensor, "DequantizeLinear")
    quantize = dequantize and graph.produced_by(dequantize.input[0], "QuantizeLinear")
    if dequantize is None or quantize is None:
        return False
    way = (quantize.input[0], dequantize.input[0], tensor)
    return graph.produced_by(way[0], "Conv") is not None and all(map(graph.only_consumer, way))


def _depths(graph: Graph) -> dict[str, int]:
    """How many layers lie behind each tensor, along the longest way."""
    depth: dict[str, int] = {}
    for node in graph.nodes:
        behind = max((depth.get(name, 0) for name in node.input), default=0)
        depth.update({name: behind + (node.op_type in LAYER_OPERATORS) for name in node.output})
    return depth
