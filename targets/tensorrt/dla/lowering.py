"""Convert the quantized student into float graphs and a calibration cache for an accelerator.

TensorRT 8 and 10, up to 10.7, run int8 on a DLA only by implicit quantization: from a float graph
and a calibration cache with the scales. Activations keep the student's scales. TensorRT quantizes
weights itself, each channel by its largest value: the result equals the student's levels in a
channel whose largest level is 127, and is close elsewhere. Linear layers become convolutions. An
operator that consumes the output of a layer that the run file keeps in float runs in float16.
"""

import hashlib
from pathlib import Path

import onnx
from onnx import ModelProto

from base.durable_files import replace_durably, write_durably
from targets.bundle.golden import Golden
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
from targets.tensorrt.options import DLA_CALIBRATION_CACHE

QUANTIZED_GRAPH, FLOAT_GRAPH = "student.int8.onnx", "student.fp32.onnx"


def lower_for_dla(
    graphs: Path, golden: Golden, batch: int, version: tuple[int, ...], folder: Path
) -> None:
    """Write the inputs of a DLA build: two float graphs and the calibration cache for int8.

    Args:
        graphs: The bundle's folder of graphs.
        golden: The probes; their largest values define the scales that the student does not have.
        batch: The batch size for graphs with a dynamic one.
        version: TensorRT's version; it rejects a cache of another version.
        folder: Where to write.

    Raises:
        UnsupportedError: If the graph's quantization is not possible on a DLA.
    """
    folder.mkdir(parents=True, exist_ok=True)
    float_model = read_graph(graphs / FLOAT_GRAPH)
    fix_batch(float_model, batch)
    linear_layers_to_convolutions(float_model)
    remove_unused_initializers(float_model)
    _write(float_model, folder / "student.dla-fp16.onnx")
    model = read_graph(graphs / QUANTIZED_GRAPH)
    in_float = float_tensors(model)
    scales = remove_quantizers(model)
    propagate_scales(model, scales)
    for vector, feature_map in linear_layers_to_convolutions(model).items():
        if vector in scales:
            scales[feature_map] = scales[vector]
        if vector in in_float:
            in_float.add(feature_map)
    remove_unused_initializers(model)
    scales |= observed_scales(model, {*scales, *in_float}, golden)
    tensors = {name for node in model.graph.node for name in (*node.input, *node.output)}
    scales = {name: scales[name] for name in scales.keys() & tensors - in_float}
    fix_batch(model, batch)
    text = calibration_cache_text(scales, version)
    # The engine's fingerprint contains only the graph's digest, so the graph must contain the
    # digest of the scales.
    scales_digest = hashlib.sha256(text.encode()).hexdigest()
    model.metadata_props.add(key="scales", value=scales_digest)
    write_durably(folder / DLA_CALIBRATION_CACHE, text)
    _write(model, folder / "student.dla-int8.onnx")


def fix_batch(model: ModelProto, batch: int) -> None:
    """Set a dynamic batch size, in place; a DLA supports only fixed shapes."""
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.dim_value = first.dim_value or batch


def _write(model: ModelProto, path: Path) -> None:
    temporary = path.with_name(f"{path.name}.part")
    onnx.save(model, temporary)
    replace_durably(temporary, path)
