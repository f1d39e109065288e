"""Extract a quantized student's scales and write them as TensorRT's calibration cache."""

import struct

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto, numpy_helper

from targets.bundle.golden import Golden, full_batches
from targets.graph.int8_weights import store_weights_as_int8
from targets.graph.topology import (
    LAYER_OPERATORS,
    MOVEMENT_OPERATORS,
    QDQ_OPERATORS,
    Graph,
    attribute,
    node_name,
)
from targets.tensorrt.options import UnsupportedError

Scales = dict[str, float]
"""Scale by tensor name; a tensor's range is -127 to 127 times its scale."""

MIN_RANGE = 1e-6
"""Range of a tensor that is zero everywhere: a scale must be positive."""


def float_tensors(model: ModelProto) -> set[str]:
    """Return the outputs of layers with float weights; without a scale they stay in float.

    Outputs of ReLUs and data movements on such tensors are included.
    """
    graph = Graph(model)
    found: set[str] = set()
    for node in graph.nodes:
        is_float_layer = (
            node.op_type in LAYER_OPERATORS
            and graph.produced_by(node.input[1], *QDQ_OPERATORS) is None
        )
        follows = node.op_type in ("Relu", *MOVEMENT_OPERATORS) and node.input[0] in found
        if is_float_layer or follows:
            found.update(node.output)
    return found


def remove_quantizers(model: ModelProto) -> Scales:
    """Remove all Q and DQ in place; weights keep their dequantized values.

    Returns:
        The scales of the tensors that were quantized; the larger one if a tensor had two.

    Raises:
        UnsupportedError: If a Q/DQ pair is not symmetric, has no constant scalar scale, or is the
            graph's output.
    """
    graph = Graph(store_weights_as_int8(model))
    scales: Scales = {}
    original: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type != "DequantizeLinear":
            continue
        if node.input[0] in graph.constants:
            values = numpy_helper.from_array(_dequantized(graph, node), node.output[0])
            model.graph.initializer.append(values)
            continue
        quantize = graph.produced_by(node.input[0], "QuantizeLinear")
        scale = graph.scale_of(node)
        zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        is_output = node.output[0] in graph.outputs
        if quantize is None or scale is None or is_output or (zero is not None and zero.any()):
            raise UnsupportedError(
                f"{node_name(node)}: not a symmetric Q/DQ pair with one constant scale inside the "
                "graph; build for the GPU"
            )
        tensor = original.get(quantize.input[0], quantize.input[0])
        original[node.output[0]] = tensor
        scales[tensor] = max(scale, scales.get(tensor, 0.0))
    kept = [node for node in graph.nodes if node.op_type not in QDQ_OPERATORS]
    for node in kept:
        for index, name in enumerate(node.input):
            node.input[index] = original.get(name, name)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    remove_unused_initializers(model)
    return scales


def propagate_scales(model: ModelProto, scales: Scales) -> None:
    """Copy scales across operators that only move or clip values, in place.

    A scale is copied from an output to an input only if the input has no other consumer: another
    one may need the values that are clipped.

    Args:
        model: A graph without Q/DQ.
        scales: The known scales; extended.
    """
    graph = Graph(model)
    for node in reversed(graph.nodes):
        unshared = graph.only_consumer(node.input[0]) is not None if node.input else False
        if node.op_type in ("Relu", *MOVEMENT_OPERATORS) and node.output[0] in scales and unshared:
            scales.setdefault(node.input[0], scales[node.output[0]])
    for node in graph.nodes:
        if node.op_type in MOVEMENT_OPERATORS and node.input[0] in scales:
            scales.setdefault(node.output[0], scales[node.input[0]])


def observed_scales(model: ModelProto, excluded: set[str], golden: Golden) -> Scales:
    """Return scales from the probes: a tensor's largest absolute value becomes level 127.

    Args:
        model: A graph without Q/DQ.
        excluded: Names of tensors to skip.
        golden: The probes.
    """
    (graph_input,) = model.graph.input
    wanted = [name for node in model.graph.node for name in node.output if name not in excluded]
    observed = ModelProto()
    observed.CopyFrom(model)
    known = {output.name for output in model.graph.output}
    observed.graph.output.extend(ValueInfoProto(name=n) for n in wanted if n not in known)
    session = ort.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    is_float = session.get_inputs()[0].type == "tensor(float)"
    images = golden.images if is_float else golden.pixels
    fixed = graph_input.type.tensor_type.shape.dim[0].dim_value
    size = fixed or min(golden.chunk_size, len(images))
    largest = {}
    if is_float and graph_input.name not in excluded:
        largest[graph_input.name] = np.abs(images).max()
    for batch in full_batches(images, size):
        for name, value in zip(wanted, session.run(wanted, {graph_input.name: batch}), strict=True):
            if value.dtype == np.float32:
                largest[name] = max(largest.get(name, 0.0), np.abs(value).max())
    return {name: max(float(value), MIN_RANGE) / 127 for name, value in largest.items()}


def calibration_cache_text(scales: Scales, version: tuple[int, ...]) -> str:
    """Return scales in the format of TensorRT's calibrators: each float32 as its bits in hex.

    Args:
        scales: Scale by tensor name.
        version: TensorRT's version, for the first line; TensorRT rejects another version's cache.
    """
    major, minor, patch = (*version, 0, 0)[:3]
    number = major * 10_000 + minor * 100 + patch
    if major < 10:
        number = major * 1_000 + minor * 100 + patch
    lines = [f"TRT-{number}-EntropyCalibration2"]
    lines += [f"{name}: {struct.pack('>f', scales[name]).hex()}" for name in sorted(scales)]
    return "\n".join(lines) + "\n"


def remove_unused_initializers(model: ModelProto) -> None:
    """Remove initializers that no node uses, in place."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _dequantized(graph: Graph, node: NodeProto) -> NDArray[np.float32]:
    """Return the values that a DequantizeLinear computes from constant levels."""
    levels, scale = (graph.constants[name].astype(np.float32) for name in node.input[:2])
    if scale.ndim:
        shape = [1] * levels.ndim
        shape[int(attribute(node, "axis", 1))] = -1
        scale = scale.reshape(shape)
    values: NDArray[np.float32] = levels * scale
    return values
