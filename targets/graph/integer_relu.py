"""Move ReLUs to int8, so that ONNX Runtime runs the convolution before them on integers.

ONNX Runtime makes a convolution integer if a Q follows it directly, or follows a ReLU that the
quantizer's lower limit replaces. A symmetric quantizer reaches below zero and replaces no ReLU, so
a ReLU before it keeps the convolution in float.
"""

from onnx import ModelProto, NodeProto, helper

from targets.graph.topology import Graph


def with_integer_relus(model: ModelProto) -> ModelProto:
    """Add a quantizer before each ReLU that a quantizer follows; every value stays the same.

    x -> Relu -> Q becomes x -> Q -> DQ -> LeakyRelu(0) -> Q, all with one scale. Rounding and
    clipping keep signs, so ReLU can come before or after them, and a value on the quantizer's grid
    does not change. LeakyRelu is the only ReLU for which ONNX Runtime has an int8 kernel.

    Args:
        model: A Q/DQ graph; changed in place.

    Returns:
        The same model.
    """
    graph = Graph(model)
    nodes: list[NodeProto] = []
    for node in graph.nodes:
        quantizer = graph.only_consumer(node.output[0]) if node.op_type == "Relu" else None
        if quantizer is None or quantizer.op_type != "QuantizeLinear":
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
