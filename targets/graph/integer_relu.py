"""A ReLU that works on int8 levels, so that the convolution before it can end in them.

ONNX Runtime makes a convolution integer when Q follows it at once, or after a ReLU that the
quantizer's own lower end replaces. A symmetric quantizer reaches below zero and replaces nothing,
so a ReLU before it keeps the convolution in float.
"""

from onnx import ModelProto, NodeProto, helper

from targets.graph.topology import Graph


def with_integer_relus(model: ModelProto) -> ModelProto:
    """Quantize before each ReLU as well as after it, in place; every value stays the same.

    x -> Relu -> Q becomes x -> Q -> DQ -> LeakyRelu(0) -> Q, all with one scale. Rounding and
    clipping keep signs, so it does not matter whether zero comes in before or after them, and a
    number that is on the quantizer's grid stays where it is. LeakyRelu, since that is the one
    ReLU for which ONNX Runtime has a kernel on levels.

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
        ends, made = list(quantizer.input[1:]), node.output[0]
        levels, values = f"{made}_levels", f"{made}_values"
        nodes += [
            helper.make_node("QuantizeLinear", [node.input[0], *ends], [levels], f"{levels}_q"),
            helper.make_node("DequantizeLinear", [levels, *ends], [values], f"{values}_dq"),
            helper.make_node("LeakyRelu", [values], [made], f"{node.name}_integer", alpha=0.0),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
