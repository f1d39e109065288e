"""Every warning rule has a graph that violates only this rule."""

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from targets.graph.int8_weights import store_weights_as_int8
from targets.lint.linter import lint_model
from tests.support.graphs import Builder, quantized_convolution, residual


def found(graph):
    return {(f.severity, f.node, f.problem) for f in lint_model(graph)}


def test_float_weights_are_a_warning():
    build = Builder()
    weight = build.constant(np.ones((32, 3, 3, 3), np.float32))
    graph = build.finish(build.add("Conv", build.pair("images"), weight), 32)
    assert [(f.severity, f.problem) for f in lint_model(graph)] == [
        ("warning", "runs in float: its weights are not quantized")
    ]


def test_float_input_is_a_warning():
    build = Builder()
    graph = build.finish(build.convolution("images", 3, 32), 32)
    assert [(f.severity, f.problem) for f in lint_model(graph)] == [
        ("warning", "runs in float: its input is not quantized")
    ]


def test_pooled_tensor_stays_quantized():
    build = Builder()
    pooled = build.add("MaxPool", build.pair("images"), kernel_shape=[2, 2], strides=[2, 2])
    assert lint_model(build.finish(build.convolution(pooled, 3, 32), 32)) == []


def test_weight_of_minus_128_is_a_warning():
    graph = store_weights_as_int8(quantized_convolution())
    stored = next(t for t in graph.graph.initializer if t.name == "wq")
    values = numpy_helper.to_array(stored).copy()
    values.flat[0] = -128
    stored.CopyFrom(numpy_helper.from_array(values, "wq"))
    assert ("warning", "wdq", "an int8 weight of -128") in found(graph)


@pytest.mark.parametrize("kind", ["Relu", "Clip"])
def test_quantizer_between_convolution_and_activation_is_a_warning(kind):
    build = Builder()
    inside = build.pair(build.convolution(build.pair("images"), 3, 32))
    graph = build.finish(build.add(kind, inside), 32)
    assert [(f.severity, f.problem) for f in lint_model(graph)] == [
        ("warning", "Q/DQ between a convolution and an operator that fuses with it")
    ]


def test_quantized_convolution_branch_is_a_warning():
    assert [f.problem for f in lint_model(residual(on_branch=True))] == [
        "the convolution branch of a residual addition is quantized"
    ]


def test_float_identity_branch_is_a_warning():
    assert [f.problem for f in lint_model(residual(on_identity=False))] == [
        "the identity branch of a residual addition is not quantized"
    ]


@pytest.mark.parametrize(("scales", "warned"), [((0.1, 0.1), False), ((0.1, 0.2), True)])
def test_concat_of_different_scales_is_a_warning(scales, warned):
    build = Builder()
    pairs = [build.pair("images", np.float32(scale)) for scale in scales]
    graph = build.finish(build.add("Concat", *pairs, axis=1), 6)
    rules = [f.problem for f in lint_model(graph)]
    assert rules == (["the inputs of a Concat have different scales"] if warned else [])


def test_int8_weights_are_one_warning_for_tensorrt_8():
    graph = store_weights_as_int8(residual())
    assert [f.problem for f in lint_model(graph)] == [
        "int8 weights, which TensorRT 8 does not accept (3 layers)"
    ]


def test_float16_scales_are_a_warning():
    build = Builder()
    half = build.add("Cast", "images", to=TensorProto.FLOAT16)
    pair = build.pair(half, np.float16(0.1))
    graph = build.finish(build.add("Cast", pair, to=TensorProto.FLOAT), 3, opset=19)
    assert [f.problem for f in lint_model(graph)] == [
        "float16 scales, on which some versions of TensorRT 10 fail (2 quantizers)"
    ]


def test_partial_channel_block_is_a_warning():
    assert found(quantized_convolution(outputs=40)) == {
        ("warning", "conv", "40 channels take as much time as 64")
    }


@pytest.mark.parametrize("kind", ["Conv", "QuantizeLinear", "Constant", "Fold"])
def test_operator_of_another_domain_is_a_warning(kind):
    build = Builder()
    graph = build.finish(build.add("Relu", build.add("Relu", "images")), 3)
    for own in graph.graph.node[:2]:
        own.op_type, own.domain = kind, "own"
    assert [(f.severity, f.node, f.problem) for f in lint_model(graph)] == [
        (
            "warning",
            "relu1_node",
            f"operator own::{kind} is not ONNX's and is not checked (2 nodes)",
        )
    ]
