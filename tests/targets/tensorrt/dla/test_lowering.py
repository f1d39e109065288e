"""Lowering for a DLA: float graphs with the same logits, and a calibration cache."""

import dataclasses
import struct

import numpy as np
import onnx
import pytest

from targets.bundle.golden import Golden, load_golden
from targets.tensorrt.builders.trtexec_arguments import build_arguments
from targets.tensorrt.dla.lowering import lower_for_dla
from targets.tensorrt.dla.scales import (
    float_tensors,
)
from targets.tensorrt.options import DLA_CALIBRATION_CACHE, Options
from tests.support.graphs import Builder, run_graph
from tests.support.trtexec.flags import FLAGS
from tests.targets.tensorrt.builders.test_trtexec_arguments import FILES


def first(golden, count):
    return dataclasses.replace(golden, pixels=golden.pixels[:count])


@pytest.mark.parametrize("count", [50, 700])
def test_missing_scales_come_from_the_probes(same_bundle, tmp_path, count):
    """For fewer and for more probes than one chunk."""
    golden = first(load_golden(same_bundle / "golden.npz"), count)
    assert golden.chunk_size == 500
    lower_for_dla(same_bundle / "graphs", golden, 4, (8, 5, 2), tmp_path)
    model = onnx.load(tmp_path / "student.dla-int8.onnx")
    header, *rows = (tmp_path / DLA_CALIBRATION_CACHE).read_text().splitlines()
    assert header == "TRT-8502-EntropyCalibration2"
    scales = dict(row.split(": ") for row in rows)
    tensors = {name for node in model.graph.node for name in node.output} | {"images"}
    assert tensors == scales.keys()
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
    dynamic = onnx.load(tmp_path / "student.dla-int8.onnx")
    for value in (*dynamic.graph.input, *dynamic.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    logits = run_graph(dynamic, golden.images)
    (found,) = struct.unpack(">f", bytes.fromhex(scales["logits"]))
    assert found == pytest.approx(float(np.abs(logits).max()) / 127, rel=1e-6)


def test_graph_digest_depends_on_the_scales(same_bundle, tmp_path):
    golden = load_golden(same_bundle / "golden.npz")
    for name, probes in (("a", golden), ("b", golden), ("c", first(golden, 100))):
        lower_for_dla(same_bundle / "graphs", probes, 1, (10, 3, 0), tmp_path / name)
    a, b, c = ((tmp_path / name / "student.dla-int8.onnx").read_bytes() for name in "abc")
    assert a == b != c
    lowered = onnx.load(tmp_path / "a" / "student.dla-fp16.onnx")
    expected = onnx.load(same_bundle / "graphs" / "student.fp32.onnx")
    image = golden.images[:1]
    np.testing.assert_allclose(run_graph(lowered, image), run_graph(expected, image), rtol=1e-4)


def test_float_layer_gets_no_scale(tmp_path):
    """Neither its output nor values moved from it have a scale."""
    build = Builder()
    inside = build.add("Relu", build.convolution(build.pair("images"), 3, 8))
    weight = build.constant(np.ones((4, 8, 1, 1), np.float32))
    kept = build.add("Conv", build.pair(inside), weight)
    cut = build.add("Relu", kept)
    model = build.finish(build.convolution(build.pair(cut), 4, 4), 3)
    assert float_tensors(model) == {kept, cut}
    for name in ("int8", "fp32"):
        onnx.save(model, tmp_path / f"student.{name}.onnx")
    shape = (3, 3, 8, 8)
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    ends = (np.zeros(3, np.float32), np.ones(3, np.float32), np.array([0, 1], np.float32))
    golden = Golden(pixels, *ends, np.zeros((3, 4), np.float32), np.zeros(3), np.zeros(3))
    lower_for_dla(tmp_path, golden, 1, (8, 5, 2), tmp_path / "lowered")
    rows = (tmp_path / "lowered" / DLA_CALIBRATION_CACHE).read_text().splitlines()[1:]
    scaled = {row.partition(":")[0] for row in rows}
    assert inside in scaled
    assert not {kept, cut} & scaled


def test_only_int8_gets_the_calibration_cache(tmp_path):
    for precision, expected in (("int8", 1), ("fp16", 0)):
        options = Options(precision, "weak", dla_core=0)
        for version in ("8.2", "8.6", "10.3"):
            flags = FLAGS[version]["flags"]
            arguments = build_arguments(options, FILES, (1, 3, 32, 32), flags)
            assert sum(argument.startswith("--calib=") for argument in arguments) == expected
            assert all(argument.partition("=")[0] in flags for argument in arguments)
