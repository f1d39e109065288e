"""For a deep-learning accelerator (DLA): the quantized student without Q/DQ, its scales beside it.

TensorRT 8 and 10 run int8 on a DLA by implicit quantization alone: a float graph, and a cache of
scales in place of a calibrator's. 10.7 was the last 10 that had a DLA; 11 is another story.
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
from onnx import ModelProto, ValueInfoProto, numpy_helper

from targets.catalogue import JetsonTarget
from targets.durable_files import write_durably
from targets.golden import Golden
from targets.graph import MOVES, PAIR, Graph, attribute
from targets.tensorrt.plan import DLA_CACHE, DLA_GRAPH, UnsupportedError

PROBES_AT_A_TIME = 100
"""A small Jetson holds all activations of so many."""

EPSILON = 1e-6
"""A tensor that is zero throughout still needs a scale above zero."""

Scales = dict[str, float]
"""Of a tensor, by its name: a value is its scale times -127 to 127."""


def check_dla(target: JetsonTarget | None, jetpack_name: str, core: int) -> None:
    """Refuse an accelerator that is not there, or that this TensorRT cannot use.

    Args:
        target: The module; None for a machine that is no Jetson.
        jetpack_name: That is installed on it.
        core: The accelerator, from 0.

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


def lower(graph: Path, golden: Golden, batch: int, version: tuple[int, ...], folder: Path) -> None:
    """Write a Q/DQ graph for a DLA: `student.dla.onnx` and the scales, `student.dla.cache`.

    Args:
        graph: int8, with float32 scales.
        golden: The probes: where the quantized student has no scale for a tensor, its largest value
            on these gives it.
        batch: What an open batch becomes.
        version: TensorRT's; a cache of another one is not read.
        folder: Where to.
    """
    model = onnx.load(graph)
    scales = without_pairs(model)
    spread(model, scales)
    scales |= seen_scales(model, scales, golden)
    fix_batch(model, batch)
    text = cache_text(scales, version)
    # An engine is known by its graph's digest, and depends on the scales as well.
    known = hashlib.sha256(text.encode()).hexdigest()
    model.metadata_props.add(key="scales", value=known)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / f"student.{DLA_GRAPH}.onnx")
    write_durably(folder / DLA_CACHE, text)


def without_pairs(model: ModelProto) -> Scales:
    """Take all Q and DQ out, in place; weights keep the values that they stand for.

    Returns:
        The scales of the tensors that were quantized; the larger one where a tensor had two.
    """
    graph = Graph(model)
    scales: Scales = {}
    stands_for: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type != "DequantizeLinear":
            continue
        if graph.is_weight(node.input[0]):
            values = _values(graph, node.output[0])
            model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
            continue
        quantize = graph.made_by(node.input[0], "QuantizeLinear")
        scale = graph.scale_of(node)
        if quantize is None or scale is None:
            raise UnsupportedError(f"{node.name}: not a pair with one constant scale")
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
    """Give what only moves or cuts values the scale of what it leads to or comes from, in place."""
    graph = Graph(model)
    for node in reversed(graph.nodes):
        if node.op_type in ("Relu", *MOVES) and node.output[0] in scales:
            scales.setdefault(node.input[0], scales[node.output[0]])
    for node in graph.nodes:
        if node.op_type in MOVES and node.input[0] in scales:
            scales.setdefault(node.output[0], scales[node.input[0]])


def fix_batch(model: ModelProto, batch: int) -> None:
    """A DLA takes no shape that is open; one that is fixed already stays."""
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.dim_value = first.dim_value or batch


def seen_scales(model: ModelProto, scales: Scales, golden: Golden) -> Scales:
    """Scales of the tensors that have none yet: their largest value on the probes is 127."""
    (taken,) = model.graph.input
    missing = [
        name
        for name in (taken.name, *(n for node in model.graph.node for n in node.output))
        if name not in scales
    ]
    watched = ModelProto()
    watched.CopyFrom(model)
    known = {taken.name, *(output.name for output in model.graph.output)}
    watched.graph.output.extend(ValueInfoProto(name=n) for n in missing if n not in known)
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    is_float = session.get_inputs()[0].type == "tensor(float)"
    images = golden.images if is_float else golden.pixels
    size = taken.type.tensor_type.shape.dim[0].dim_value or PROBES_AT_A_TIME
    wanted = [name for name in missing if name != taken.name]
    largest = {taken.name: np.abs(images).max()} if is_float and taken.name in missing else {}
    for start in range(0, len(images) - size + 1, size):
        values = session.run(wanted, {taken.name: images[start : start + size]})
        for name, value in zip(wanted, values, strict=True):
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


def shares(log: str) -> Shares:
    """What a build's log says of where layers run."""
    found = {kind: tuple(re.findall(rf"\[{kind}\] (.+)", log)) for kind in ("DlaLayer", "GpuLayer")}
    return Shares(found["DlaLayer"], found["GpuLayer"])


def _values(graph: Graph, tensor: str) -> NDArray[np.float32]:
    """Weights as Q and DQ leave them."""
    node = graph.made_by(tensor, *PAIR)
    if node is None:
        return graph.constants[tensor]
    scale = graph.constants[node.input[1]]
    values = _values(graph, node.input[0])
    axis = int(attribute(node, "axis", 1))
    if scale.size > 1:
        shape = [1] * values.ndim
        shape[axis] = -1
        scale = scale.reshape(shape)
    if node.op_type == "QuantizeLinear":
        return np.clip(np.rint(values / scale), -128, 127).astype(np.int8)
    return (values.astype(np.float32) * scale.astype(np.float32)).astype(np.float32)


def _drop_unused(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
