"""Remove every quantizer from a Q/DQ graph."""

from onnx import ModelProto


def without_quantizers(model: ModelProto) -> ModelProto:
    """Remove every pair of QuantizeLinear and DequantizeLinear.

    Weights that are stored as int8 keep their DequantizeLinear.

    Args:
        model: A Q/DQ graph with float weights; changed in place.

    Returns:
        The same model, which computes in float.
    """
    nodes = model.graph.node
    quantized = {node.output[0]: node for node in nodes if node.op_type == "QuantizeLinear"}
    pairs = [
        (quantized[node.input[0]], node)
        for node in nodes
        if node.op_type == "DequantizeLinear" and node.input[0] in quantized
    ]
    sources = {dequantize.output[0]: quantize.input[0] for quantize, dequantize in pairs}
    for node in nodes:
        for index, name in enumerate(node.input):
            while name in sources:
                name = sources[name]
            node.input[index] = name
    for node in [*(dequantize for _, dequantize in pairs), *quantized.values()]:
        nodes.remove(node)
    return model
