"""Linear layers as the convolutions that they are, for an accelerator that knows no others.

TensorRT's parser wraps a Gemm in shuffles and constants without a name in the ONNX graph, which no
cache of scales can reach. A Gemm on a flattened map (N, C, H, W) is a convolution with a kernel of
H x W, and on what that gives one of 1 x 1; the map is flattened after the last of them instead.
"""

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from targets.graph.topology import Graph, attribute, node_name, output_axis

Shapes = dict[str, tuple[int, ...]]

MAX_KERNEL_SIDE = 32
"""The largest side of a kernel that an accelerator takes (NVIDIA's DLA layer restrictions)."""


def linear_layers_to_convolutions(model: ModelProto) -> dict[str, str]:
    """Make linear layers that follow a map convolutions, in place.

    Args:
        model: Without Q/DQ. A Gemm that scales its product, or that does not follow a flattened
            map, stays.

    Returns:
        By the name of a vector that is flattened now, that of the map which it was made of: both
        hold the same values.
    """
    graph, shapes = Graph(model), _shapes(model)
    flattened: dict[str, str] = {}
    nodes = graph.nodes
    for flatten in graph.nodes:
        row = _row(graph, flatten, shapes)
        layers = [node for node in row if node.op_type == "Gemm"]
        if not layers:
            continue
        kernel = shapes[flatten.input[0]][1:]
        for layer in layers:
            kernel = (_convolution(model, graph, layer, kernel), 1, 1)
        row[0].input[0] = flatten.input[0]
        last = row[-1].output[0]
        flattened[last] = row[-1].output[0] = f"{last}.map"
        end = helper.make_node("Flatten", [f"{last}.map"], [last], name=f"{last}.flatten", axis=1)
        place = next(i for i, node in enumerate(nodes) if node is row[-1])
        nodes = [*nodes[: place + 1], end, *nodes[place + 1 :]]
        nodes = [node for node in nodes if node is not flatten]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    # What shapes were noted are those of vectors.
    del model.graph.value_info[:]
    return flattened


def _row(graph: Graph, flatten: NodeProto, shapes: Shapes) -> list[NodeProto]:
    """The linear layers and ReLUs that follow one another from a flattened map on."""
    before = shapes.get(flatten.input[0], ()) if flatten.input else ()
    after = shapes.get(flatten.output[0], ())
    is_flat = len(before) == 4 and after == (before[0], int(np.prod(before[1:])))
    if (
        not is_flat
        or max(before[2:]) > MAX_KERNEL_SIDE
        or graph.only_consumer(flatten.input[0]) is None
    ):
        return []
    row: list[NodeProto] = []
    node = graph.only_consumer(flatten.output[0])
    while node is not None and (node.op_type == "Relu" or _is_plain(graph, node)):
        row.append(node)
        node = graph.only_consumer(node.output[0])
    while row and row[-1].op_type != "Gemm":
        row.pop()
    return row


def _is_plain(graph: Graph, node: NodeProto) -> bool:
    """Whether a node multiplies by constant weights, adds a constant bias, and no more."""
    return (
        node.op_type == "Gemm"
        and all(name in graph.constants for name in node.input[1:])
        and all(graph.constants[name].ndim == 1 for name in node.input[2:])
        and not attribute(node, "transA")
        and all(float(attribute(node, factor, 1.0)) == 1.0 for factor in ("alpha", "beta"))
    )


def _convolution(model: ModelProto, graph: Graph, layer: NodeProto, kernel: tuple[int, ...]) -> int:
    """Turn a linear layer into one, in place; how many channels it gives."""
    weights = graph.constants[layer.input[1]]
    rows = weights if output_axis(layer) == 0 else weights.T
    name = f"{node_name(layer)}.kernel"
    shaped = np.ascontiguousarray(rows).reshape(len(rows), *kernel)
    model.graph.initializer.append(numpy_helper.from_array(shaped, name))
    layer.input[1] = name
    layer.op_type = "Conv"
    del layer.attribute[:]
    layer.attribute.append(helper.make_attribute("kernel_shape", kernel[1:]))
    return len(rows)


def _shapes(model: ModelProto) -> Shapes:
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
