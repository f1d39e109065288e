"""Rules whose violation makes an engine slower or needs a plugin.

Sources: TensorRT developer guide, "Working with Quantized Types"; NVIDIA's pytorch-quantization
for residual additions; issue NVIDIA/TensorRT 4832 for float16 scales.
"""

from collections.abc import Callable, Iterator

import numpy as np
from onnx import NodeProto, TensorProto

from targets.graph.topology import ONNX_DOMAINS, Graph, operator
from targets.lint.finding import Finding, quantizers, warning
from targets.lint.unchecked import is_checked, moved_weights, unchecked_types

CHANNEL_BLOCK = 32
"""TensorRT's int8 kernels process channels in blocks of this size."""


def fully_quantized_layers(graph: Graph) -> Iterator[Finding]:
    """Weights and input of a layer are quantized; otherwise it runs in float."""
    for layer in graph.layers():
        weight = graph.produced_by(layer.input[1], "DequantizeLinear")
        if not graph.is_weight(layer.input[1]):
            continue
        if weight is None:
            yield warning(layer, "runs in float: its weights are not quantized", "quantize them")
        elif is_checked(graph, weight) and graph.dequantizer_of(layer.input[0]) is None:
            yield warning(layer, "runs in float: its input is not quantized", "quantize it")


def narrow_range_weights(graph: Graph) -> Iterator[Finding]:
    """Weights are in -127..127, which is symmetric about zero."""
    for node in graph.nodes:
        values = (
            graph.constants.get(node.input[0]) if operator(node) == "DequantizeLinear" else None
        )
        if values is not None and values.dtype == np.int8 and (values == -128).any():
            yield warning(node, "an int8 weight of -128", "quantize weights to -127..127")


def no_quantizer_inside_a_fusion(graph: Graph) -> Iterator[Finding]:
    """Convolution, batch norm and ReLU are adjacent, so that TensorRT fuses them."""
    for node in graph.nodes:
        if operator(node) not in ("Relu", "BatchNormalization", "Clip"):
            continue
        between = graph.dequantizer_of(node.input[0])
        before = None if between is None else graph.producer.get(between.input[0])
        if before is not None and graph.produced_by(before.input[0], "Conv", "BatchNormalization"):
            yield warning(
                node,
                "Q/DQ between a convolution and an operator that fuses with it",
                "quantize after it",
            )


def residual_branches(graph: Graph) -> Iterator[Finding]:
    """Only the identity branch is quantized, so that convolution, addition and ReLU fuse."""
    for node in graph.nodes:
        if operator(node) != "Add" or any(graph.is_weight(name) for name in node.input):
            continue
        dequantized = [graph.dequantizer_of(name) for name in node.input]
        if all(dequantized) and any(map(graph.follows_convolution, node.input)):
            yield warning(
                node,
                "the convolution branch of a residual addition is quantized",
                "remove the Q/DQ between the convolution and the addition",
            )
        elif not any(dequantized) and any(map(graph.follows_quantized_convolution, node.input)):
            yield warning(
                node,
                "the identity branch of a residual addition is not quantized",
                "add Q/DQ to it",
            )


def one_scale_per_concat(graph: Graph) -> Iterator[Finding]:
    """The inputs of a Concat have one scale, so that it only copies int8 values."""
    for node in graph.nodes:
        if operator(node) != "Concat":
            continue
        dequantized = [graph.dequantizer_of(name) for name in node.input]
        scales = {None if d is None else graph.scale_of(d) for d in dequantized}
        if any(dequantized) and len(scales) > 1:
            yield warning(node, "the inputs of a Concat have different scales", "use one scale")


def float_weights_for_tensorrt_8(graph: Graph) -> Iterator[Finding]:
    """TensorRT 8 needs float weights with Q and DQ; 10 and newer accept int8 weights with DQ."""
    stored = [
        node
        for node in graph.nodes
        if operator(node) == "DequantizeLinear"
        and graph.types.get(node.input[0]) == TensorProto.INT8
    ]
    if stored:
        yield warning(
            stored[0],
            f"int8 weights, which TensorRT 8 does not accept ({len(stored)} layers)",
            "use the graph with float weights on TensorRT 8",
        )


def float32_scales(graph: Graph) -> Iterator[Finding]:
    """Scales are float32: some versions of TensorRT 10 fail on float16 scales on Orin."""
    half = [
        node
        for node in quantizers(graph)
        if node.input[1] in graph.constants and graph.constants[node.input[1]].dtype == np.float16
    ]
    if half:
        yield warning(
            half[0],
            f"float16 scales, on which some versions of TensorRT 10 fail ({len(half)} quantizers)",
            "use the graph with float32 scales for them",
        )


def full_channel_blocks(graph: Graph) -> Iterator[Finding]:
    """Channels fill whole blocks, because a partial block takes as long as a full one."""
    for layer in graph.layers():
        weight = graph.weight_of(layer)
        if weight is None or operator(layer) != "Conv" or not graph.dequantizer_of(layer.input[0]):
            continue
        channels = weight.shape[0]
        if channels % CHANNEL_BLOCK:
            wide = -(-channels // CHANNEL_BLOCK) * CHANNEL_BLOCK
            yield warning(
                layer,
                f"{channels} channels take as much time as {wide}",
                f"make the layer's width a multiple of {CHANNEL_BLOCK}",
            )


def only_onnx_operators(graph: Graph) -> Iterator[Finding]:
    """Every operator is ONNX's: TensorRT computes others only in a plugin of the same name."""
    others: dict[str, list[NodeProto]] = {}
    for node in graph.nodes:
        if node.domain not in ONNX_DOMAINS:
            others.setdefault(operator(node), []).append(node)
    for name, nodes in others.items():
        yield warning(
            nodes[0],
            f"operator {name} is not ONNX's and is not checked ({len(nodes)} nodes)",
            "load a TensorRT plugin for it, or replace it",
        )


WARNING_RULES: tuple[Callable[[Graph], Iterator[Finding]], ...] = (
    fully_quantized_layers,
    narrow_range_weights,
    no_quantizer_inside_a_fusion,
    residual_branches,
    one_scale_per_concat,
    float_weights_for_tensorrt_8,
    float32_scales,
    full_channel_blocks,
    only_onnx_operators,
    unchecked_types,
    moved_weights,
)
