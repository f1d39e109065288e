"""For a deep-learning accelerator (DLA): the quantized student without Q/DQ, its scales beside it.

TensorRT 8 and 10, up to 10.7, run int8 on a DLA by implicit quantization alone: a float graph, and
a cache of scales in place of a calibrator's. Activations keep the student's own scales. Weights are
quantized anew by TensorRT, which scales each channel by its largest value: the student's own levels
come back where a channel reaches 127 of them, and almost so elsewhere. Tensors without a name in
the ONNX graph, as TensorRT's parser makes them around linear layers, get no scale: those layers run
in float16, as does what takes the output of a layer that the run file keeps in float.
"""

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto, numpy_helper

from targets.catalogue import JetsonTarget
from targets.durable_files import replace_durably, write_durably
from targets.golden import Golden, whole_batches
from targets.graph import LAYERS, MOVES, PAIR, Graph, attribute, name_of
from targets.tensorrt.plan import DLA_CACHE, UnsupportedError
from targets.weights import store_weights_as_int8

Scales = dict[str, float]
"""Of a tensor, by its name: a value is its scale times -127 to 127."""

QUANTIZED, FLOAT = "student.int8.onnx", "student.fp32.onnx"

LAST = (10, 7)
"""The last TensorRT with such a DLA."""

EPSILON = 1e-6
"""A tensor that is zero throughout still needs a scale above zero."""


def check_dla(
    target: JetsonTarget | None, jetpack_name: str, core: int, version: tuple[int, ...]
) -> None:
    """Refuse an accelerator that is not there, or that this TensorRT cannot use.

    Args:
        target: The module; None for a machine that is no Jetson.
        jetpack_name: That is installed on it.
        core: The accelerator, from 0.
        version: Of the TensorRT that builds, which need not be the JetPack's.

    Raises:
        UnsupportedError: Saying which of the two, and what to do.
    """
    cores = int(target.dla.split()[0]) if target is not None and target.dla else 0
    if target is None or not 0 <= core < cores:
        name = "this machine" if target is None else target.name
        there = f"has {cores} accelerators, from 0" if cores else "has no accelerator"
        raise UnsupportedError(f"{name} {there}; leave out --dla-core, or name another")
    jetpack = next(each for each in target.jetpacks if each.name == jetpack_name)
    if jetpack.dla.startswith("none"):
        raise UnsupportedError(
            f"JetPack {jetpack.name} cannot use the DLA ({jetpack.dla}); build for the GPU"
        )
    if version[:2] > LAST:
        number = ".".join(map(str, version))
        raise UnsupportedError(
            f"TensorRT {number} cannot use the DLA (10.7 was the last); build for the GPU"
        )


def lower(graphs: Path, golden: Golden, batch: int, version: tuple[int, ...], folder: Path) -> None:
    """Write what a DLA's engines are built from: two float graphs, and the int8 one's scales.

    Args:
        graphs: The bundle's folder of graphs.
        golden: The probes: where the quantized student has no scale for a tensor, its largest value
            on these gives it.
        batch: What an open batch becomes.
        version: TensorRT's; a cache of another one is not read.
        folder: Where to.

    Raises:
        UnsupportedError: When the graph is quantized in a way that a DLA does not know.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = onnx.load(graphs / FLOAT)
    fix_batch(plain, batch)
    _write(plain, folder / "student.dla-fp16.onnx")
    model = onnx.load(graphs / QUANTIZED)
    in_float = float_tensors(model)
    scales = without_pairs(model)
    spread(model, scales)
    scales |= seen_scales(model, {*scales, *in_float}, golden)
    scales = {name: scale for name, scale in scales.items() if name not in in_float}
    fix_batch(model, batch)
    text = cache_text(scales, version)
    # An engine is known by its graph's digest, and depends on the scales as well.
    known = hashlib.sha256(text.encode()).hexdigest()
    model.metadata_props.add(key="scales", value=known)
    write_durably(folder / DLA_CACHE, text)
    _write(model, folder / "student.dla-int8.onnx")


def float_tensors(model: ModelProto) -> set[str]:
    """What layers with float weights give: without a scale there they stay in float."""
    graph = Graph(model)
    found: set[str] = set()
    for node in graph.nodes:
        kept = node.op_type in LAYERS and graph.made_by(node.input[1], *PAIR) is None
        if kept or (node.op_type in ("Relu", *MOVES) and node.input[0] in found):
            found.update(node.output)
    return found


def without_pairs(model: ModelProto) -> Scales:
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
        quantize = graph.made_by(node.input[0], "QuantizeLinear")
        scale = graph.scale_of(node)
        zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        ends = node.output[0] in graph.outputs
        if quantize is None or scale is None or ends or (zero is not None and zero.any()):
            raise UnsupportedError(
                f"{name_of(node)}: no symmetric pair with one constant scale inside the graph; "
                "build for the GPU"
            )
        tensor = stands_for.get(quantize.input[0], quantize.input[0])
        stands_for[node.output[0]] = tensor
        scales[tensor] = max(scale, scales.get(tensor, 0.0))
    kept = [node for node in graph.nodes if node.op_type not in PAIR]
    for node in kept:
        for index, name in enumerate(node.input):
            node.input[index] = stands_for.get(name, name)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    _drop_unused(model)
    return scales


def spread(model: ModelProto, scales: Scales) -> None:
    """Give what only moves or cuts values the scale of what it leads to or comes from, in place.

    Back from a tensor only where nothing else uses what it was made from: another user may need
    the values that were cut.
    """
    graph = Graph(model)
    for node in reversed(graph.nodes):
        alone = graph.only_user(node.input[0]) is not None if node.input else False
        if node.op_type in ("Relu", *MOVES) and node.output[0] in scales and alone:
            scales.setdefault(node.input[0], scales[node.output[0]])
    for node in graph.nodes:
        if node.op_type in MOVES and node.input[0] in scales:
            scales.setdefault(node.output[0], scales[node.input[0]])


def fix_batch(model: ModelProto, batch: int) -> None:
    """A DLA takes no shape that is open; one that is fixed already stays."""
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.dim_value = first.dim_value or batch


def seen_scales(model: ModelProto, but: set[str], golden: Golden) -> Scales:
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
    size = taken.type.tensor_type.shape.dim[0].dim_value or min(golden.chunk, len(images))
    largest = {taken.name: np.abs(images).max()} if is_float and taken.name not in but else {}
    for batch in whole_batches(images, size):
        for name, value in zip(wanted, session.run(wanted, {taken.name: batch}), strict=True):
            if value.dtype == np.float32:
                largest[name] = max(largest.get(name, 0.0), np.abs(value).max())
    return {name: max(float(value), EPSILON) / 127 for name, value in largest.items()}


def cache_text(scales: Scales, version: tuple[int, ...]) -> str:
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


@dataclass(frozen=True)
class Shares:
    """Where an engine's layers run.

    Attributes:
        on_dla: Pieces of the network that the accelerator runs whole.
        on_gpu: Layers that fell back to the GPU.
    """

    on_dla: tuple[str, ...]
    on_gpu: tuple[str, ...]

    def __str__(self) -> str:
        """One line."""
        line = f"{len(self.on_dla)} pieces on the DLA, {len(self.on_gpu)} layers on the GPU"
        return f"{line} ({', '.join(self.on_gpu)})" if self.on_gpu else line


def shares(log: str) -> Shares | None:
    """What a build's log says of where layers run; None when it says nothing of it."""
    found = {kind: tuple(re.findall(rf"\[{kind}\] (.+)", log)) for kind in ("DlaLayer", "GpuLayer")}
    return Shares(found["DlaLayer"], found["GpuLayer"]) if any(found.values()) else None


def _weights(graph: Graph, node: NodeProto) -> NDArray[np.float32]:
    """What a DequantizeLinear makes of stored levels."""
    levels, scale = (graph.constants[name].astype(np.float32) for name in node.input[:2])
    if scale.ndim:
        shape = [1] * levels.ndim
        shape[int(attribute(node, "axis", 1))] = -1
        scale = scale.reshape(shape)
    values: NDArray[np.float32] = levels * scale
    return values


def _write(model: ModelProto, path: Path) -> None:
    beside = path.with_name(f"{path.name}.part")
    onnx.save(model, beside)
    replace_durably(beside, path)


def _drop_unused(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
