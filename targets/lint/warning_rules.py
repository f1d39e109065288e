"""What makes an engine slower: layers left in float, fusions that cannot happen.

Sources: TensorRT's developer guide, "Working with Quantized Types"; NVIDIA's pytorch-quantization
on residual additions; the issue NVIDIA/TensorRT 4832 (float16 scales).
"""

from collections.abc import Callable, Iterator

import numpy as np

from targets.graph.topology import Graph
from targets.lint.finding import Finding, quantizers, warning

CHANNEL_BLOCK = 32
"""TensorRT's int8 kernels work on so many channels at a time."""


def whole_layers(graph: Graph) -> Iterator[Finding]:
    """A layer runs on int8 kernels when weights and input are both quantized."""
    for layer in graph.layers():
        weight = graph.produced_by(layer.input[1], "DequantizeLinear") is not None
        if not graph.is_weight(layer.input[1]):
            continue
        if not weight:
            yield warning(layer, "weights are quantized", "this layer will run in float")
        elif graph.dequantizer_of(layer.input[0]) is None:
            yield warning(layer, "the input is quantized", "this layer will run in float")


def full_symmetric_weights(graph: Graph) -> Iterator[Finding]:
    """Weights keep to -127..127, so that a range is symmetric about its zero."""
    for node in graph.nodes:
        values = graph.constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if values is not None and values.dtype == np.int8 and (values == -128).any():
            yield warning(node, "int8 weights lie within +-127", "quantize with a narrow range")


def nothing_inside_a_fusion(graph: Graph) -> Iterator[Finding]:
    """Convolution, batch norm and ReLU fuse when nothing stands between them."""
    for node in graph.nodes:
        if node.op_type not in ("Relu", "BatchNormalization", "Clip"):
            continue
        between = graph.dequantizer_of(node.input[0])
        before = None if between is None else graph.producer.get(between.input[0])
        if before is not None and graph.produced_by(before.input[0], "Conv", "BatchNormalization"):
            yield warning(
                node, "no Q/DQ between a convolution and what fuses with it", "quantize after it"
            )


def residual_branches(graph: Graph) -> Iterator[Finding]:
    """Convolution, addition and ReLU fuse when the identity alone is quantized."""
    for node in graph.nodes:
        if node.op_type != "Add" or any(graph.is_weight(name) for name in node.input):
            continue
        dequantized = [graph.dequantizer_of(name) for name in node.input]
        if all(dequantized) and any(map(graph.follows_convolution, node.input)):
            yield warning(
                node,
                "the convolution's branch of a residual addition is not quantized",
                "drop the Q/DQ between the convolution and the addition",
            )
        elif not any(dequantized) and any(map(graph.follows_quantized_convolution, node.input)):
            yield warning(
                node,
                "the identity branch of a residual addition is quantized",
                "give it Q/DQ of its own",
            )


def one_scale_a_concat(graph: Graph) -> Iterator[Finding]:
    """Concatenation of int8 tensors is a copy when all share one scale."""
    for node in graph.nodes:
        if node.op_type != "Concat":
            continue
        dequantized = [graph.dequantizer_of(name) for name in node.input]
        scales = {None if d is None else graph.scale_of(d) for d in dequantized}
        if any(dequantized) and len(scales) > 1:
            yield warning(node, "all inputs of a Concat share one scale", "tie their quantizers")


def float_weights_for_tensorrt_8(graph: Graph) -> Iterator[Finding]:
    """TensorRT 8 asks for float weights with a pair; 10 and later take int8 ones with DQ alone."""
    stored = [
        node
        for node in graph.nodes
        if node.op_type == "DequantizeLinear"
        and node.input[0] in graph.constants
        and graph.constants[node.input[0]].dtype == np.int8
    ]
    if stored:
        yield warning(
            stored[0],
            f"TensorRT 8 asks for float weights with Q/DQ ({len(stored)} are stored as int8)",
            "use the graph with float weights there",
        )


def float32_scales(graph: Graph) -> Iterator[Finding]:
    """Some versions of TensorRT 10 fail on float16 scales on Orin."""
    half = [
        node
        for node in quantizers(graph)
        if node.input[1] in graph.constants and graph.constants[node.input[1]].dtype == np.float16
    ]
    if half:
        yield warning(
            half[0],
            f"float16 scales fail on some TensorRT 10 ({len(half)} quantizers)",
            "use the graph with float32 elsewhere there",
        )


def full_channel_blocks(graph: Graph) -> Iterator[Finding]:
    """Channels are worked on in blocks; a part of a block costs as much as a whole one."""
    for layer in graph.layers():
        weight = graph.weight_of(layer)
        if weight is None or layer.op_type != "Conv" or not graph.dequantizer_of(layer.input[0]):
            continue
        channels = weight.shape[0]
        if channels % CHANNEL_BLOCK:
            wide = -(-channels // CHANNEL_BLOCK) * CHANNEL_BLOCK
            yield warning(
                layer,
                f"{channels} channels cost as much as {wide}",
                f"make the student's width a multiple of {CHANNEL_BLOCK} there",
            )


WARNING_RULES: tuple[Callable[[Graph], Iterator[Finding]], ...] = (
    whole_layers,
    full_symmetric_weights,
    nothing_inside_a_fusion,
    residual_branches,
    one_scale_a_concat,
    float_weights_for_tensorrt_8,
    float32_scales,
    full_channel_blocks,
)
