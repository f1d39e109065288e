"""Lowering for a DLA: the same values without Q/DQ, and a calibration cache with the scales."""

import dataclasses
import struct

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from targets.bundle.golden import Golden, load_golden
from targets.catalogue.catalogue import find_target
from targets.graph.topology import QDQ_OPERATORS, Graph
from targets.tensorrt.builders.trtexec_arguments import build_arguments
from targets.tensorrt.dla.availability import check_dla
from targets.tensorrt.dla.lowering import lower_for_dla
from targets.tensorrt.dla.placement import parse_placement
from targets.tensorrt.dla.scales import (
    calibration_cache_text,
    float_tensors,
    propagate_scales,
    remove_quantizers,
)
from targets.tensorrt.options import DLA_CALIBRATION_CACHE, Options, UnsupportedError
from targets.tensorrt.recommendation import MIN_GRAPH_AGREEMENT
from tests.support.graphs import SCALE, Builder, quantized_convolution
from tests.targets.tensorrt.builders.test_trtexec_arguments import FILES, FLAGS

ORIN = find_target("orin-nx-16")


def run(model, images, output="logits"):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run([output], {"images": images})[0]


def with_quantizers(model, scales):
    """Return the lowered graph with Q and DQ added back at every scale."""
    restored = onnx.ModelProto()
    restored.CopyFrom(model)
    zero = numpy_helper.from_array(np.int8(0), "zero")
    restored.graph.initializer.append(zero)
    nodes = []
    for tensor, scale in scales.items():
        restored.graph.initializer.append(numpy_helper.from_array(np.float32(scale), f"{tensor}.s"))
        parameters = [f"{tensor}.s", "zero"]
        pair = [
            helper.make_node("QuantizeLinear", [tensor, *parameters], [f"{tensor}.q"]),
            helper.make_node("DequantizeLinear", [f"{tensor}.q", *parameters], [f"{tensor}.dq"]),
        ]
        for node in restored.graph.node:
            for index, name in enumerate(node.input):
                if name == tensor:
                    node.input[index] = f"{tensor}.dq"
        position = next(
            (i for i, node in enumerate(restored.graph.node) if tensor in node.output), -1
        )
        nodes = list(restored.graph.node)
        nodes[position + 1 : position + 1] = pair
        del restored.graph.node[:]
        restored.graph.node.extend(nodes)
    onnx.checker.check_model(restored)
    return restored


def test_restored_quantizers_give_the_same_logits():
    model = quantized_convolution()
    images = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    expected = run(model, images)
    scales = remove_quantizers(model)
    assert not [node for node in model.graph.node if node.op_type in QDQ_OPERATORS]
    assert scales == {"images": pytest.approx(float(SCALE))}
    assert np.array_equal(run(with_quantizers(model, scales), images), expected)


def test_restored_quantizers_give_the_same_logits_for_lenet5(same_bundle):
    """As exported, with weights stored as int8."""
    model = onnx.load(same_bundle / "graphs" / "student.int8.onnx")
    images = load_golden(same_bundle / "golden.npz").images[:64]
    expected = run(model, images)
    scales = remove_quantizers(model)
    assert np.array_equal(run(with_quantizers(model, scales), images), expected)


def test_propagate_scales_follows_moved_and_clipped_values():
    build = Builder()
    convolved = build.convolution(build.pair("images"), 3, 8)
    rectified = build.add("Relu", convolved)
    pooled = build.add("MaxPool", build.pair(rectified, np.float32(0.25)), kernel_shape=[2, 2])
    model = build.finish(build.convolution(pooled, 8, 4), 3)
    scales = remove_quantizers(model)
    propagate_scales(model, scales)
    assert scales[rectified] == scales[convolved] == scales[pooled] == 0.25


def test_remove_quantizers_keeps_the_larger_of_two_scales():
    build = Builder()
    left = build.convolution(build.pair("images", np.float32(0.1)), 3, 4)
    right = build.convolution(build.pair("images", np.float32(0.3)), 3, 4)
    model = build.finish(build.add("Add", left, right), 3)
    assert remove_quantizers(model) == {"images": pytest.approx(0.3)}


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
    logits = run(dynamic, golden.images)
    (found,) = struct.unpack(">f", bytes.fromhex(scales["logits"]))
    assert found == pytest.approx(float(np.abs(logits).max()) / 127, rel=1e-6)


@pytest.mark.parametrize(
    ("version", "number"), [((8, 2, 1), "8201"), ((8, 5, 2), "8502"), ((10, 3, 0), "100300")]
)
def test_calibration_cache_has_tensorrts_format(version, number):
    """ONNX Runtime's sources contain a cache with 4000889d for 2.008338."""
    text = calibration_cache_text({"data_0": 2.0083382}, version)
    assert text == f"TRT-{number}-EntropyCalibration2\ndata_0: 4000889d\n"


def test_graph_digest_depends_on_the_scales(same_bundle, tmp_path):
    golden = load_golden(same_bundle / "golden.npz")
    for name, probes in (("a", golden), ("b", golden), ("c", first(golden, 100))):
        lower_for_dla(same_bundle / "graphs", probes, 1, (10, 3, 0), tmp_path / name)
    a, b, c = ((tmp_path / name / "student.dla-int8.onnx").read_bytes() for name in "abc")
    assert a == b != c
    lowered = onnx.load(tmp_path / "a" / "student.dla-fp16.onnx")
    expected = onnx.load(same_bundle / "graphs" / "student.fp32.onnx")
    image = golden.images[:1]
    np.testing.assert_allclose(run(lowered, image), run(expected, image), rtol=1e-4)


def test_weights_quantized_by_tensorrt_give_the_same_predictions(same_bundle):
    """TensorRT quantizes weights without scales by each channel's largest value."""
    model = onnx.load(same_bundle / "graphs" / "student.int8.onnx")
    golden = load_golden(same_bundle / "golden.npz")
    expected = run(model, golden.images)
    scales = remove_quantizers(model)
    graph = Graph(model)
    for layer in graph.layers():
        weights = graph.constants[layer.input[1]]
        others = tuple(range(1, weights.ndim))
        step = np.abs(weights).max(others, keepdims=True) / 127
        requantized = (np.rint(weights / step) * step).astype(np.float32)
        stored = next(t for t in model.graph.initializer if t.name == layer.input[1])
        stored.CopyFrom(numpy_helper.from_array(requantized, layer.input[1]))
    actual = run(with_quantizers(model, scales), golden.images)
    assert (actual.argmax(1) == expected.argmax(1)).mean() >= MIN_GRAPH_AGREEMENT


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


def test_clipped_scale_is_not_propagated_to_a_shared_input():
    build = Builder()
    convolved = build.convolution(build.pair("images"), 3, 4)
    rectified = build.pair(build.add("Relu", convolved))
    model = build.finish(build.add("Add", build.convolution(rectified, 4, 4), convolved), 3)
    scales = remove_quantizers(model)
    propagate_scales(model, scales)
    assert convolved not in scales


def test_remove_quantizers_refuses_asymmetric_quantization():
    with pytest.raises(UnsupportedError, match=r"not a symmetric Q/DQ pair.*build for the GPU"):
        remove_quantizers(quantized_convolution(activation_zero=np.int8(3)))


def test_check_dla_refuses_missing_and_unsupported_accelerators():
    check_dla(ORIN, "6.1", 1, (10, 3, 0))
    for core in (2, -1):
        with pytest.raises(UnsupportedError, match="has 2 accelerators, numbered from 0"):
            check_dla(ORIN, "6.1", core, (10, 3, 0))
    with pytest.raises(UnsupportedError, match=r"JetPack 7\.2 cannot use the DLA.*build for the G"):
        check_dla(ORIN, "7.2", 0, (10, 16, 2))
    with pytest.raises(UnsupportedError, match="orin-nano-8 has no accelerator"):
        check_dla(find_target("orin-nano-8"), "6.1", 0, (10, 3, 0))
    with pytest.raises(UnsupportedError, match="this machine has no accelerator"):
        check_dla(None, "", 0, (10, 3, 0))
    with pytest.raises(UnsupportedError, match=r"TensorRT 10\.8\.0 cannot use the DLA"):
        check_dla(ORIN, "6.1", 0, (10, 8, 0))
    with pytest.raises(UnsupportedError, match=r"TensorRT 11\.4\.1 .*strongly typed.*for the GPU"):
        check_dla(find_target("agx-orin"), "7.2.2", 0, (11, 4, 1))


def test_parse_placement_lists_layers_on_the_gpu():
    log = """[I] [TRT] ---------- Layers Running on DLA ----------
[I] [TRT] [DlaLayer] {ForeignNode[conv1...fc1]}
[I] [TRT] ---------- Layers Running on GPU ----------
[I] [TRT] [GpuLayer] SHUFFLE: flatten
"""
    found = parse_placement(log)
    assert str(found) == "1 subgraphs on the DLA, 1 layers on the GPU (SHUFFLE: flatten)"
    assert parse_placement("[I] nothing of the sort") is None


def test_only_int8_gets_the_calibration_cache(tmp_path):
    for precision, expected in (("int8", 1), ("fp16", 0)):
        options = Options(precision, "weak", dla_core=0)
        for version in ("8.2", "8.6", "10.3"):
            flags = FLAGS[version]["flags"]
            arguments = build_arguments(options, FILES, (1, 3, 32, 32), flags)
            assert sum(argument.startswith("--calib=") for argument in arguments) == expected
            assert all(argument.partition("=")[0] in flags for argument in arguments)


def test_remove_quantizers_leaves_no_unused_constants():
    model = quantized_convolution()
    remove_quantizers(model)
    used = {name for node in model.graph.node for name in node.input}
    assert set(Graph(model).constants) <= used
