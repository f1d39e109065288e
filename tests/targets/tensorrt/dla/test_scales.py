"""Scales: extracted from Q/DQ, propagated, and written as a calibration cache."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from targets.bundle.golden import load_golden
from targets.graph.topology import QDQ_OPERATORS, Graph
from targets.tensorrt.dla.scales import (
    calibration_cache_text,
    propagate_scales,
    remove_quantizers,
)
from targets.tensorrt.options import UnsupportedError
from targets.tensorrt.recommendation import MIN_GRAPH_AGREEMENT
from tests.support.graphs import SCALE, Builder, quantized_convolution, run_graph


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
    expected = run_graph(model, images)
    scales = remove_quantizers(model)
    assert not [node for node in model.graph.node if node.op_type in QDQ_OPERATORS]
    assert scales == {"images": pytest.approx(float(SCALE))}
    assert np.array_equal(run_graph(with_quantizers(model, scales), images), expected)


def test_restored_quantizers_give_the_same_logits_for_lenet5(same_bundle):
    """As exported, with weights stored as int8."""
    model = onnx.load(same_bundle / "graphs" / "student.int8.onnx")
    images = load_golden(same_bundle / "golden.npz").images[:64]
    expected = run_graph(model, images)
    scales = remove_quantizers(model)
    assert np.array_equal(run_graph(with_quantizers(model, scales), images), expected)


def test_propagate_scales_follows_moved_and_clipped_values():
    build = Builder()
    convolved = build.convolution(build.pair("images"), 3, 8)
    rectified = build.add("Relu", convolved)
    pooled = build.add("MaxPool", build.pair(rectified, np.float32(0.25)), kernel_shape=[2, 2])
    model = build.finish(build.convolution(pooled, 8, 4), 3)
    scales = remove_quantizers(model)
    propagate_scales(model, scales)
    assert scales[rectified] == scales[convolved] == scales[pooled] == 0.25


def test_clipped_scale_is_not_propagated_to_a_shared_input():
    build = Builder()
    convolved = build.convolution(build.pair("images"), 3, 4)
    rectified = build.pair(build.add("Relu", convolved))
    model = build.finish(build.add("Add", build.convolution(rectified, 4, 4), convolved), 3)
    scales = remove_quantizers(model)
    propagate_scales(model, scales)
    assert convolved not in scales


def test_remove_quantizers_keeps_the_larger_of_two_scales():
    build = Builder()
    left = build.convolution(build.pair("images", np.float32(0.1)), 3, 4)
    right = build.convolution(build.pair("images", np.float32(0.3)), 3, 4)
    model = build.finish(build.add("Add", left, right), 3)
    assert remove_quantizers(model) == {"images": pytest.approx(0.3)}


def test_remove_quantizers_refuses_asymmetric_quantization():
    with pytest.raises(UnsupportedError, match=r"not a symmetric Q/DQ pair.*build for the GPU"):
        remove_quantizers(quantized_convolution(activation_zero=np.int8(3)))


def test_remove_quantizers_leaves_no_unused_constants():
    model = quantized_convolution()
    remove_quantizers(model)
    used = {name for node in model.graph.node for name in node.input}
    assert set(Graph(model).constants) <= used


@pytest.mark.parametrize(
    ("version", "number"), [((8, 2, 1), "8201"), ((8, 5, 2), "8502"), ((10, 3, 0), "100300")]
)
def test_calibration_cache_has_tensorrts_format(version, number):
    """ONNX Runtime's sources contain a cache with 4000889d for 2.008338."""
    text = calibration_cache_text({"data_0": 2.0083382}, version)
    assert text == f"TRT-{number}-EntropyCalibration2\ndata_0: 4000889d\n"


def test_weights_quantized_by_tensorrt_give_the_same_predictions(same_bundle):
    """TensorRT quantizes weights without scales by each channel's largest value."""
    model = onnx.load(same_bundle / "graphs" / "student.int8.onnx")
    golden = load_golden(same_bundle / "golden.npz")
    expected = run_graph(model, golden.images)
    scales = remove_quantizers(model)
    graph = Graph(model)
    for layer in graph.layers():
        weights = graph.constants[layer.input[1]]
        others = tuple(range(1, weights.ndim))
        step = np.abs(weights).max(others, keepdims=True) / 127
        requantized = (np.rint(weights / step) * step).astype(np.float32)
        stored = next(t for t in model.graph.initializer if t.name == layer.input[1])
        stored.CopyFrom(numpy_helper.from_array(requantized, layer.input[1]))
    actual = run_graph(with_quantizers(model, scales), golden.images)
    two = np.sort(expected, axis=1)[:, -2:]
    clear = two[:, 1] - two[:, 0] > 0.1 * expected.std()
    assert clear.mean() > 0.8
    assert (actual.argmax(1) == expected.argmax(1))[clear].mean() >= MIN_GRAPH_AGREEMENT
