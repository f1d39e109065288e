"""Operators at the start of a graph that normalize its images."""

from collections.abc import Iterator

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper

from pipeline.teachers.graphs.graph_file import GraphFile, read_tensor

NORMALIZING = frozenset({"Add", "Div", "Mul", "Sub"})

PASSING = frozenset({"Cast", "Identity", "Transpose"})
"""Operators between the others that change no value."""

LARGEST_OFFSET = 1.5
"""Images from 0 to 1 are not shifted by more than this."""

SMALLEST_SCALE = 1 / 16
"""Images from 0 to 1 are not scaled by less than this: their standard deviation is larger."""


def normalizing_operators(file: GraphFile) -> tuple[str, ...]:
    """Return the operators that scale or shift a graph's input by constants."""
    return tuple(node.op_type for node, _ in _normalizing(file))


def largest_value(file: GraphFile) -> int:
    """Return the largest value of an image that a graph seems to take: 1 or 255.

    It is 255 for bytes, and for images that are shifted by a lot or scaled by little.

    Raises:
        GraphError: If a constant cannot be read.
    """
    if file.input_type == TensorProto.UINT8:
        return 255
    scale = 1.0
    for node, constant in _normalizing(file):
        value = 0.0 if constant is None else _magnitude(constant)
        if value == 0:
            continue
        if node.op_type in ("Mul", "Div"):
            scale *= value if node.op_type == "Mul" else 1 / value
        elif value > LARGEST_OFFSET * scale:
            return 255
    return 255 if scale < SMALLEST_SCALE else 1


def _normalizing(file: GraphFile) -> Iterator[tuple[NodeProto, TensorProto | None]]:
    """Yield the operators, each with its constant; None for one that is not a single tensor."""
    graph, name = file.model.graph, file.input
    constants = _constants(graph)
    while True:
        readers = [node for node in graph.node if name in node.input]
        if len(readers) != 1:
            return
        node = readers[0]
        found = [constants[other] for other in node.input if other in constants]
        if node.op_type in NORMALIZING and found:
            yield node, found[0]
        elif node.op_type not in PASSING or not node.output:
            return
        name = node.output[0]


def _constants(graph: GraphProto) -> dict[str, TensorProto | None]:
    found: dict[str, TensorProto | None] = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found.update((name, _value(node)) for name in node.output)
        elif node.op_type == "Identity":
            same = [found[name] for name in node.input if name in found]
            found.update(zip(node.output, same, strict=False))
    return found


def _value(constant: NodeProto) -> TensorProto | None:
    for attribute in constant.attribute:
        if attribute.name == "value" and attribute.type == AttributeProto.TENSOR:
            tensor: TensorProto = attribute.t
            return tensor
        if attribute.name == "value_float" and attribute.type == AttributeProto.FLOAT:
            return helper.make_tensor("", TensorProto.FLOAT, [], [attribute.f])
    return None


def _magnitude(tensor: TensorProto) -> float:
    """Return the mean absolute value of a tensor; 0 if it holds no finite numbers."""
    array = read_tensor(tensor)
    if array.dtype.kind not in "fiu" or not array.size:
        return 0.0
    mean = float(np.abs(array.astype(np.float64)).mean())
    return mean if np.isfinite(mean) else 0.0
