"""Remove the softmax at the end of a graph: distillation needs logits."""

from onnx import GraphProto, NodeProto, helper

KEEPING = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze"})
"""Operators between a softmax and the output that change no value."""


def without_softmax(graph: GraphProto, output: str) -> str | None:
    """Take a softmax at the end of a graph out of it.

    `Log` after `Softmax` is removed too.

    Args:
        graph: The graph. It is changed in place.
        output: Name of the output.

    Returns:
        The removed operator, or None if there is none.
    """
    made_by = {name: node for node in graph.node for name in node.output}
    name, logarithm = output, None
    while name in made_by:
        node = made_by[name]
        if node.op_type == "LogSoftmax" and logarithm is None:
            return _removed(node)
        if node.op_type == "Softmax":
            _removed(node)
            return "Softmax" if logarithm is None else f"{_removed(logarithm)} of Softmax"
        if node.op_type == "Log" and logarithm is None:
            logarithm = node
        elif node.op_type not in KEEPING:
            return None
        name = node.input[0]
    return None


def _removed(node: NodeProto) -> str:
    """Make a node pass its input on, and return its operator."""
    operator = str(node.op_type)
    node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output[:1], name=node.name))
    return operator
