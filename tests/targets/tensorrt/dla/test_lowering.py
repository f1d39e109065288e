"""Lowering for an accelerator: the same numbers without Q/DQ, and the scales beside it."""

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
from targets.tensorrt.dla.lowering import check_dla, lower_for_dla, parse_placement
from targets.tensorrt.dla.scales import (
    calibration_cache_text,
    float_tensors,
    propagate_scales,
    remove_quantizers,
)
from targets.tensorrt.options import (
    DLA_CALIBRATION_CACHE,
    Options,
    UnsupportedError,
    build_arguments,
)
from targets.tensorrt.recommendation import MIN_GRAPH_AGREEMENT
from tests.support.graphs import SCALE, Builder, quantized_convolution
from tests.targets.tensorrt.test_plan import FLAGS, PLACES

ORIN = find_target("orin-nx-16")


def run(model, images, output="logits"):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run([output], {"images": images})[0]


def with_pairs_again(model, scales):
    """The lowered graph with Q and DQ put back wherever the student had them."""
    again = onnx.ModelProto()
    again.CopyFrom(model)
    zero = numpy_helper.from_array(np.int8(0), "zero")
    again.graph.initializer.append(zero)
    nodes = []
    for tensor, scale in scales.items():
        again.graph.initializer.append(numpy_helper.from_array(np.float32(scale), f"{tensor}.s"))
        ends = [f"{tensor}.s", "zero"]
        pair = [
            helper.make_node("QuantizeLinear", [tensor, *ends], [f"{tensor}.q"]),
            helper.make_node("DequantizeLinear", [f"{tensor}.q", *ends], [f"{tensor}.dq"]),
        ]
        for node in again.graph.node:
            for index, name in enumerate(node.input):
                if name == tensor:
                    node.input[index] = f"{tensor}.dq"
        place = next((i for i, node in enumerate(again.graph.node) if tensor in node.output), -1)
        nodes = list(again.graph.node)
        nodes[place + 1 : place + 1] = pair
        del again.graph.node[:]
        again.graph.node.extend(nodes)
    onnx.checker.check_model(again)
    return again


def test_the_same_numbers_come_out_when_the_pairs_are_put_back():
    model = quantized_convolution()
    images = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    meant = run(model, images)
    scales = remove_quantizers(model)
    assert not [node for node in model.graph.node if node.op_type in QDQ_OPERATORS]
    assert scales == {"images": pytest.approx(float(SCALE))}
    assert np.array_equal(run(with_pairs_again(model, scales), images), meant)


def test_a_real_student_too(same_bundle):
    """A LeNet-5 as it is exported, its weights stored as int8."""
    model = onnx.load(same_bundle / "graphs" / "student.int8.onnx")
    images = load_golden(same_bundle / "golden.npz").images[:64]
    meant = run(model, images)
    scales = remove_quantizers(model)
    assert np.array_equal(run(with_pairs_again(model, scales), images), meant)


def test_a_scale_goes_where_values_only_move_or_are_cut():
    build = Builder()
    convolved = build.convolution(build.pair("images"), 3, 8)
    rectified = build.add("Relu", convolved)
    pooled = build.add("MaxPool", build.pair(rectified, np.float32(0.25)), kernel_shape=[2, 2])
    model = build.finish(build.convolution(pooled, 8, 4), 3)
    scales = remove_quantizers(model)
    propagate_scales(model, scales)
    assert scales[rectified] == scales[convolved] == scales[pooled] == 0.25


def test_a_tensor_with_two_scales_keeps_the_larger():
    build = Builder()
    left = build.convolution(build.pair("images", np.float32(0.1)), 3, 4)
    right = build.convolution(build.pair("images", np.float32(0.3)), 3, 4)
    model = build.finish(build.add("Add", left, right), 3)
    assert remove_quantizers(model) == {"images": pytest.approx(0.3)}


def first(golden, count):
    return dataclasses.replace(golden, pixels=golden.pixels[:count])


@pytest.mark.parametrize("count", [50, 700])
def test_what_has_no_scale_gets_it_from_the_probes(same_bundle, tmp_path, count):
    """Fewer than go through at a time, and more."""
    golden = first(load_golden(same_bundle / "golden.npz"), count)
    assert golden.chunk_size == 500
    lower_for_dla(same_bundle / "graphs", golden, 4, (8, 5, 2), tmp_path)
    model = onnx.load(tmp_path / "student.dla-int8.onnx")
    header, *rows = (tmp_path / DLA_CALIBRATION_CACHE).read_text().splitlines()
    assert header == "TRT-8502-EntropyCalibration2"
    scales = dict(row.split(": ") for row in rows)
    named = {name for node in model.graph.node for name in node.output} | {"images"}
    assert named == scales.keys()
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
    free = onnx.load(tmp_path / "student.dla-int8.onnx")
    for value in (*free.graph.input, *free.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    logits = run(free, golden.images)
    (found,) = struct.unpack(">f", bytes.fromhex(scales["logits"]))
    assert found == pytest.approx(float(np.abs(logits).max()) / 127, rel=1e-6)


@pytest.mark.parametrize(
    ("version", "number"), [((8, 2, 1), "8201"), ((8, 5, 2), "8502"), ((10, 3, 0), "100300")]
)
def test_the_cache_is_written_as_tensorrt_writes_it(version, number):
    """2.008338 is 4000889d in the table that ONNX Runtime's sources show."""
    text = calibration_cache_text({"data_0": 2.0083382}, version)
    assert text == f"TRT-{number}-EntropyCalibration2\ndata_0: 4000889d\n"


def test_the_same_bundle_gives_the_same_graph_and_other_scales_another(same_bundle, tmp_path):
    golden = load_golden(same_bundle / "golden.npz")
    for name, probes in (("a", golden), ("b", golden), ("c", first(golden, 100))):
        lower_for_dla(same_bundle / "graphs", probes, 1, (10, 3, 0), tmp_path / name)
    a, b, c = ((tmp_path / name / "student.dla-int8.onnx").read_bytes() for name in "abc")
    assert a == b != c
    plain = onnx.load(tmp_path / "a" / "student.dla-fp16.onnx")
    meant = onnx.load(same_bundle / "graphs" / "student.fp32.onnx")
    image = golden.images[:1]
    np.testing.assert_allclose(run(plain, image), run(meant, image), rtol=1e-4)


def test_weights_that_tensorrt_quantizes_anew_answer_the_same(same_bundle):
    """By each channel's largest value, as it does where weights have no scale of their own."""
    model = onnx.load(same_bundle / "graphs" / "student.int8.onnx")
    golden = load_golden(same_bundle / "golden.npz")
    meant = run(model, golden.images)
    scales = remove_quantizers(model)
    graph = Graph(model)
    for layer in graph.layers():
        weights = graph.constants[layer.input[1]]
        others = tuple(range(1, weights.ndim))
        step = np.abs(weights).max(others, keepdims=True) / 127
        anew = (np.rint(weights / step) * step).astype(np.float32)
        stored = next(t for t in model.graph.initializer if t.name == layer.input[1])
        stored.CopyFrom(numpy_helper.from_array(anew, layer.input[1]))
    given = run(with_pairs_again(model, scales), golden.images)
    assert (given.argmax(1) == meant.argmax(1)).mean() >= MIN_GRAPH_AGREEMENT


def test_a_layer_kept_in_float_stays_so(tmp_path):
    """Neither what it gives nor what is only moved of it has a scale."""
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


def test_the_input_of_a_cut_keeps_its_range_where_another_needs_it():
    build = Builder()
    convolved = build.convolution(build.pair("images"), 3, 4)
    rectified = build.pair(build.add("Relu", convolved))
    model = build.finish(build.add("Add", build.convolution(rectified, 4, 4), convolved), 3)
    scales = remove_quantizers(model)
    propagate_scales(model, scales)
    assert convolved not in scales


def test_what_no_dla_knows_is_refused():
    with pytest.raises(UnsupportedError, match=r"no symmetric pair.*build for the GPU"):
        remove_quantizers(quantized_convolution(activation_zero=np.int8(3)))


def test_what_is_not_there_is_refused():
    check_dla(ORIN, "6.1", 1, (10, 3, 0))
    for core in (2, -1):
        with pytest.raises(UnsupportedError, match="has 2 accelerators, from 0"):
            check_dla(ORIN, "6.1", core, (10, 3, 0))
    with pytest.raises(UnsupportedError, match=r"JetPack 7\.2 cannot use the DLA.*build for the G"):
        check_dla(ORIN, "7.2", 0, (10, 16, 2))
    with pytest.raises(UnsupportedError, match="orin-nano-8 has no accelerator"):
        check_dla(find_target("orin-nano-8"), "6.1", 0, (10, 3, 0))
    with pytest.raises(UnsupportedError, match="this machine has no accelerator"):
        check_dla(None, "", 0, (10, 3, 0))
    with pytest.raises(UnsupportedError, match=r"TensorRT 10\.8\.0 cannot use the DLA"):
        check_dla(ORIN, "6.1", 0, (10, 8, 0))
    with pytest.raises(UnsupportedError, match=r"TensorRT 11\.4\.1 .*typed strongly.*for the GPU"):
        check_dla(find_target("agx-orin"), "7.2.2", 0, (11, 4, 1))


def test_a_log_tells_what_fell_back():
    log = """[I] [TRT] ---------- Layers Running on DLA ----------
[I] [TRT] [DlaLayer] {ForeignNode[conv1...fc1]}
[I] [TRT] ---------- Layers Running on GPU ----------
[I] [TRT] [GpuLayer] SHUFFLE: flatten
"""
    found = parse_placement(log)
    assert str(found) == "1 pieces on the DLA, 1 layers on the GPU (SHUFFLE: flatten)"
    assert parse_placement("[I] nothing of the sort") is None


def test_the_scales_are_handed_over_for_int8_alone(tmp_path):
    for precision, expected in (("int8", 1), ("fp16", 0)):
        options = Options(precision, "weak", dla_core=0)
        for version in ("8.2", "8.6", "10.3"):
            flags = FLAGS[version]["flags"]
            built = build_arguments(options, PLACES, (1, 3, 32, 32), flags)
            assert sum(argument.startswith("--calib=") for argument in built) == expected
            assert all(argument.partition("=")[0] in flags for argument in built)


def test_graph_of_the_lowered_student_has_no_leftovers():
    model = quantized_convolution()
    remove_quantizers(model)
    used = {name for node in model.graph.node for name in node.input}
    assert set(Graph(model).constants) <= used
