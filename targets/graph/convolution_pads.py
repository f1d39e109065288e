"""Merge zero padding into the convolutions that follow it."""

import numpy as np
from onnx import ModelProto, NodeProto, helper
from onnx.reference import ReferenceEvaluator

from targets.graph.topology import Array, Graph


def merge_pads(model: ModelProto) -> ModelProto:
    """Move zero padding into the `pads` of the convolutions, if nothing else reads its output.

    ONNX Runtime keeps a convolution in float if a Pad node is between it and its quantizer.

    Args:
        model: Changed in place.

    Returns:
        The same model. Its results do not change.
    """
    graph = Graph(model)
    for pad in graph.nodes:
        convolutions = graph.consumers.get(pad.output[0], [])
        sizes = _zeros_around_image(graph, pad)
        if sizes is None or not all(map(_has_numbers, convolutions)):
            continue
        if pad.output[0] in graph.outputs or not convolutions:
            continue
        for convolution in convolutions:
            present = _pads(convolution) or [0] * len(sizes)
            kept = [found for found in convolution.attribute if found.name != "pads"]
            merged = [old + new for old, new in zip(present, sizes, strict=True)]
            del convolution.attribute[:]
            convolution.attribute.extend([*kept, helper.make_attribute("pads", merged)])
            convolution.input[0] = pad.input[0]
        model.graph.node.remove(pad)
    return model


def _zeros_around_image(graph: Graph, pad: NodeProto) -> list[int] | None:
    """Return the zeros before and after each image axis, or None if it is no zero padding."""
    if pad.op_type != "Pad" or _text(pad, "mode", "constant") != "constant":
        return None
    if len(pad.input) > 3 and pad.input[3]:
        return None
    sizes = _constant(graph, pad.input[1])
    value = _constant(graph, pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(1)
    if sizes is None or value is None or np.any(value != 0) or np.any(sizes < 0):
        return None
    axes = len(sizes) // 2
    if np.any(sizes[[0, 1, axes, axes + 1]] != 0):  # Padding of images or channels.
        return None
    return [int(size) for size in (*sizes[2:axes], *sizes[axes + 2 :])]


def _has_numbers(node: NodeProto) -> bool:
    """Return whether a node is a convolution whose padding is given as numbers."""
    return node.op_type == "Conv" and _text(node, "auto_pad", "NOTSET") == "NOTSET"


def _text(node: NodeProto, name: str, default: str) -> str:
    return next((found.s.decode() for found in node.attribute if found.name == name), default)


def _pads(convolution: NodeProto) -> list[int]:
    return next((list(found.ints) for found in convolution.attribute if found.name == "pads"), [])


def _constant(graph: Graph, tensor: str) -> Array | None:
    """Return the value of a tensor that is computed from constants only, else None."""
    if tensor in graph.constants:
        return graph.constants[tensor]
    node = graph.producer.get(tensor)
    if node is None:
        return None
    values = {name: _constant(graph, name) for name in node.input if name}
    if any(value is None for value in values.values()):
        return None
    results: list[Array] = ReferenceEvaluator(node).run(None, values)  # type: ignore[assignment]
    return np.asarray(results[list(node.output).index(tensor)])
