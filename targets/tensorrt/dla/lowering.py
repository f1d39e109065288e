"""For a deep-learning accelerator (DLA): the quantized student without Q/DQ, its scales beside it.

TensorRT 8 and 10, up to 10.7, run int8 on a DLA by implicit quantization alone: a float graph, and
a cache of scales in place of a calibrator's. Activations keep the student's own scales. Weights are
quantized anew by TensorRT, which scales each channel by its largest value: the student's own levels
come back where a channel reaches 127 of them, and almost so elsewhere. Linear layers become the
convolutions that they are. What takes the output of a layer that the run file keeps in float runs
in float16.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto

from base.durable_files import replace_durably, write_durably
from targets.bundle.golden import Golden
from targets.catalogue.catalogue import JetsonTarget
from targets.graph.graph_file import read_graph
from targets.tensorrt.dla.linear_to_convolution import linear_layers_to_convolutions
from targets.tensorrt.dla.scales import (
    calibration_cache_text,
    float_tensors,
    observed_scales,
    propagate_scales,
    remove_quantizers,
    remove_unused_initializers,
)
from targets.tensorrt.options import DLA_CALIBRATION_CACHE, UnsupportedError

QUANTIZED_GRAPH, FLOAT_GRAPH = "student.int8.onnx", "student.fp32.onnx"

LAST_IMPLICIT_VERSION = (10, 7)
"""The last TensorRT whose DLA takes a cache of scales.

11.4.1 has the DLA again, on AGX Orin from JetPack 7.2.2 on, and types its engines strongly: graphs
for that are not written here.
"""


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
    cores = 0 if target is None else target.dla_cores
    if target is None or not 0 <= core < cores:
        name = "this machine" if target is None else target.name
        there = f"has {cores} accelerators, from 0" if cores else "has no accelerator"
        raise UnsupportedError(f"{name} {there}; leave out --dla-core, or name another")
    jetpack = next(each for each in target.jetpacks if each.name == jetpack_name)
    if jetpack.dla.startswith("none"):
        raise UnsupportedError(
            f"JetPack {jetpack.name} cannot use the DLA ({jetpack.dla}); build for the GPU"
        )
    if version[:2] > LAST_IMPLICIT_VERSION:
        number = ".".join(map(str, version))
        why = "10.7 was the last TensorRT 10 with DLA"
        if version[0] > LAST_IMPLICIT_VERSION[0]:
            why = "since 11 its engines are typed strongly, for which no graph is lowered yet"
        raise UnsupportedError(f"TensorRT {number} cannot use the DLA ({why}); build for the GPU")


def lower_for_dla(
    graphs: Path, golden: Golden, batch: int, version: tuple[int, ...], folder: Path
) -> None:
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
    plain = read_graph(graphs / FLOAT_GRAPH)
    fix_batch(plain, batch)
    linear_layers_to_convolutions(plain)
    remove_unused_initializers(plain)
    _write(plain, folder / "student.dla-fp16.onnx")
    model = read_graph(graphs / QUANTIZED_GRAPH)
    in_float = float_tensors(model)
    scales = remove_quantizers(model)
    propagate_scales(model, scales)
    for vector, shaped in linear_layers_to_convolutions(model).items():
        if vector in scales:
            scales[shaped] = scales[vector]
        if vector in in_float:
            in_float.add(shaped)
    remove_unused_initializers(model)
    scales |= observed_scales(model, {*scales, *in_float}, golden)
    there = {name for node in model.graph.node for name in (*node.input, *node.output)}
    scales = {name: scales[name] for name in scales.keys() & there - in_float}
    fix_batch(model, batch)
    text = calibration_cache_text(scales, version)
    # An engine is known by its graph's digest, and depends on the scales as well.
    known = hashlib.sha256(text.encode()).hexdigest()
    model.metadata_props.add(key="scales", value=known)
    write_durably(folder / DLA_CALIBRATION_CACHE, text)
    _write(model, folder / "student.dla-int8.onnx")


def fix_batch(model: ModelProto, batch: int) -> None:
    """A DLA takes no shape that is open; one that is fixed already stays."""
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.dim_value = first.dim_value or batch


@dataclass(frozen=True)
class DlaPlacement:
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


def parse_placement(log: str) -> DlaPlacement | None:
    """What a build's log says of where layers run; None when it says nothing of it."""
    found = {kind: tuple(re.findall(rf"\[{kind}\] (.+)", log)) for kind in ("DlaLayer", "GpuLayer")}
    return DlaPlacement(found["DlaLayer"], found["GpuLayer"]) if any(found.values()) else None


def _write(model: ModelProto, path: Path) -> None:
    beside = path.with_name(f"{path.name}.part")
    onnx.save(model, beside)
    replace_durably(beside, path)
