"""A quantized student's scales, out of its graph, as TensorRT reads them beside a float one."""

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
"""Of a tensor, by its name: a value is its scale times -127 to 127."""

MIN_RANGE = 1e-6
"""A tensor that is zero throughout still needs a scale above zero."""


def float_tensors(model: ModelProto) -> set[str]:
    """What layers with float weights give: without a scale there they stay in float."""
    graph = Graph(model)
    found: set[str] = set()
    for node in graph.nodes:
        kept = (
            node.op_type in LAYER_OPERATORS
            and graph.produced_by(node.input[1], *QDQ_OPERATORS) is None
        )
        if kept or (node.op_type in ("Relu", *MOVEMENT_OPERATORS) and node.input[0] in found):
            found.update(node.output)
    return found


def remove_quantizers(model: ModelProto) -> Scales:
    """Take all Q and DQ out, in place; weights keep the values that they stand for.

    Returns:
        The scales of the tensors that were quantized; the larger one where a tensor had two.

    Raises:
        UnsupportedError: When a pair is not symmetric with one constant scale, or ends the graph.
    """
    graph = Graph(store_weights_as_int8(model))
    scales: Scales = {}
    stands_for: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type != "DequantizeLinear":
            continue
        if node.input[0] in graph.constants:
            values = numpy_helper.from_array(_weights(graph, node), node.output[0])
            model.graph.initializer.append(values)
            continue
        quantize = graph.produced_by(node.input[0], "QuantizeLinear")
        scale = graph.scale_of(node)
        zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        ends = node.output[0] in graph.outputs
        if quantize is None or scale is None or ends or (zero is not None and zero.any()):
            raise UnsupportedError(
                f"{node_name(node)}: no symmetric pair with one constant scale inside the graph; "
                "build for the GPU"
            )
        tensor = stands_for.get(quantize.input[0], quantize.input[0])
        stands_for[node.output[0]] = tensor
        scales[tensor] = max(scale, scales.get(tensor, 0.0))
    kept = [node for node in graph.nodes if node.op_type not in QDQ_OPERATORS]
    for node in kept:
        for index, name in enumerate(node.input):
            node.input[index] = stands_for.get(name, name)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    remove_unused_initializers(model)
    return scales


def propagate_scales(model: ModelProto, scales: Scales) -> None:
    """Give what only moves or cuts values the scale of what it leads to or comes from, in place.

    Back from a tensor only where nothing else uses what it was made from: another user may need
    the values that were cut.
    """
    graph = Graph(model)
    for node in reversed(graph.nodes):
        alone = graph.only_consumer(node.input[0]) is not None if node.input else False
        if node.op_type in ("Relu", *MOVEMENT_OPERATORS) and node.output[0] in scales and alone:
            scales.setdefault(node.input[0], scales[node.output[0]])
    for node in graph.nodes:
        if node.op_type in MOVEMENT_OPERATORS and node.input[0] in scales:
            scales.setdefault(node.output[0], scales[node.input[0]])


def observed_scales(model: ModelProto, but: set[str], golden: Golden) -> Scales:
    """Scales of all tensors but some: a tensor's largest value on the probes is 127."""
    (taken,) = model.graph.input
    wanted = [name for node in model.graph.node for name in node.output if name not in but]
    watched = ModelProto()
    watched.CopyFrom(model)
    known = {output.name for output in model.graph.output}
    watched.graph.output.extend(ValueInfoProto(name=n) for n in wanted if n not in known)
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    is_float = session.get_inputs()[0].type == "tensor(float)"
    images = golden.images if is_float else golden.pixels
    size = taken.type.tensor_type.shape.dim[0].dim_value or min(golden.chunk_size, len(images))
    largest = {taken.name: np.abs(images).max()} if is_float and taken.name not in but else {}
    for batch in full_batches(images, size):
        for name, value in zip(wanted, session.run(wanted, {taken.name: batch}), strict=True):
            if value.dtype == np.float32:
                largest[name] = max(largest.get(name, 0.0), np.abs(value).max())
    return {name: max(float(value), MIN_RANGE) / 127 for name, value in largest.items()}


def calibration_cache_text(scales: Scales, version: tuple[int, ...]) -> str:
    """Scales as TensorRT's own calibrators write them: the bits of each float32, in hex.

    The first line names TensorRT's version, by which a cache of another one is refused.
    """
    major, minor, patch = (*version, 0, 0)[:3]
    number = major * 10_000 + minor * 100 + patch
    if major < 10:
        number = major * 1_000 + minor * 100 + patch
    lines = [f"TRT-{number}-EntropyCalibration2"]
    lines += [f"{name}: {struct.pack('>f', scales[name]).hex()}" for name in sorted(scales)]
    return "\n".join(lines) + "\n"


def remove_unused_initializers(model: ModelProto) -> None:
    """Drop initialisers that no node reads, in place."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _weights(graph: Graph, node: NodeProto) -> NDArray[np.float32]:
    """What a DequantizeLinear makes of stored levels."""
    levels, scale = (graph.constants[name].astype(np.float32) for name in node.input[:2])
    if scale.ndim:
        shape = [1] * levels.ndim
        shape[int(attribute(node, "axis", 1))] = -1
        scale = scale.reshape(shape)
    values: NDArray[np.float32] = levels * scale
    return values
