"""Replace linear layers by convolutions, the only layers that TensorRT can scale on a DLA.

TensorRT's parser surrounds a Gemm with shuffles and constants that have no name in the ONNX graph,
so a calibration cache cannot contain their scales. A Gemm on a flattened feature map (N, C, H, W)
is a convolution with an H x W kernel, and the Gemms after it are 1 x 1 convolutions. The map is
flattened after the last of them instead.
"""

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from targets.graph.topology import Graph, attribute, node_name, output_axis

Shapes = dict[str, tuple[int, ...]]

MAX_KERNEL_SIDE = 32
"""The largest kernel side that a DLA supports (NVIDIA's DLA layer restrictions)."""


def linear_layers_to_convolutions(model: ModelProto) -> dict[str, str]:
    """Replace linear layers on flattened feature maps by convolutions.

    A Gemm with a scaled product, or one that does not follow a flattened map, stays.

    Args:
        model: A graph without Q/DQ; changed in place.

    Returns:
        For each vector that is flattened now, the name of the feature map with the same values.
    """
    graph, shapes = Graph(model), _shapes(model)
    flattened: dict[str, str] = {}
    nodes = graph.nodes
    for flatten in graph.nodes:
        sequence = _linear_sequence(graph, flatten, shapes)
        layers = [node for node in sequence if node.op_type == "Gemm"]
        if not layers:
            continue
        kernel = shapes[flatten.input[0]][1:]
        for layer in layers:
            kernel = (_to_convolution(model, graph, layer, kernel), 1, 1)
        sequence[0].input[0] = flatten.input[0]
        last = sequence[-1].output[0]
        flattened[last] = sequence[-1].output[0] = f"{last}.map"
        end = helper.make_node("Flatten", [f"{last}.map"], [last], name=f"{last}.flatten", axis=1)
        position = next(i for i, node in enumerate(nodes) if node is sequence[-1])
        nodes = [*nodes[: position + 1], end, *nodes[position + 1 :]]
        nodes = [node for node in nodes if node is not flatten]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    # The recorded shapes are those of the vectors.
    del model.graph.value_info[:]
    return flattened


def _linear_sequence(graph: Graph, flatten: NodeProto, shapes: Shapes) -> list[NodeProto]:
    """Return the consecutive linear layers and ReLUs after a flattened map, up to a layer."""
    before = shapes.get(flatten.input[0], ()) if flatten.input else ()
    after = shapes.get(flatten.output[0], ())
    is_flat = len(before) == 4 and after == (before[0], int(np.prod(before[1:])))
    too_large = is_flat and max(before[2:]) > MAX_KERNEL_SIDE
    if not is_flat or too_large or graph.only_consumer(flatten.input[0]) is None:
        return []
    sequence: list[NodeProto] = []
    node = graph.only_consumer(flatten.output[0])
    while node is not None and (node.op_type == "Relu" or _is_plain(graph, node)):
        sequence.append(node)
        node = graph.only_consumer(node.output[0])
    while sequence and sequence[-1].op_type != "Gemm":
        sequence.pop()
    return sequence


def _is_plain(graph: Graph, node: NodeProto) -> bool:
    """Whether a node only multiplies by constant weights and adds a constant bias."""
    return (
        node.op_type == "Gemm"
        and all(name in graph.constants for name in node.input[1:])
        and all(graph.constants[name].ndim == 1 for name in node.input[2:])
        and not attribute(node, "transA")
        and all(float(attribute(node, factor, 1.0)) == 1.0 for factor in ("alpha", "beta"))
    )


def _to_convolution(
    model: ModelProto, graph: Graph, layer: NodeProto, kernel: tuple[int, ...]
) -> int:
    """Turn a linear layer into a convolution in place and return its output channels."""
    weights = graph.constants[layer.input[1]]
    rows = weights if output_axis(layer) == 0 else weights.T
    name = f"{node_name(layer)}.kernel"
    reshaped = np.ascontiguousarray(rows).reshape(len(rows), *kernel)
    model.graph.initializer.append(numpy_helper.from_array(reshaped, name))
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
