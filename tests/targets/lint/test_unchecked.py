"""What the rules about int8 do not cover is one warning, and no error."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from targets.lint.linter import errors, lint_model
from tests.support.graphs import Builder

PER_CHANNEL = (np.full(32, 0.1, np.float32), np.zeros(32, np.int8))


def problems(graph):
    return [(f.severity, f.problem) for f in lint_model(graph)]


def zeros(kind, *shape):
    return np.zeros(shape, helper.tensor_dtype_to_np_dtype(getattr(TensorProto, kind)))


def moved(build, place, operator, operand, values):
    """Add weights with per-channel Q/DQ that an operator moves at one place of the chain."""
    scale, zero = map(build.constant, PER_CHANNEL)
    tensor = build.constant(values)
    for step in ("before Q", "Q", "before DQ", "DQ", "after DQ"):
        if step == place:
            tensor = build.add(operator, tensor, *operand)
        elif step in ("Q", "DQ"):
            kind = {"Q": "QuantizeLinear", "DQ": "DequantizeLinear"}[step]
            tensor = build.add(kind, tensor, scale, zero, axis=0)
    return tensor


@pytest.mark.parametrize("place", ["before Q", "before DQ", "after DQ"])
@pytest.mark.parametrize("layer", ["Conv", "Gemm"])
def test_weights_through_a_reshape_are_one_warning(place, layer):
    build = Builder()
    images = build.pair("images")
    shape = (32, 3, 3, 3) if layer == "Conv" else (32, 192)
    operand = [build.constant(np.array(shape, np.int64))]
    values = np.ones((32, 27 if layer == "Conv" else 192), np.float32)
    weight = moved(build, place, "Reshape", operand, values)
    if layer == "Conv":
        output = build.add("Conv", images, weight)
    else:
        rows = build.add("Gemm", build.add("Flatten", images), weight, transB=1)
        output = build.add("Reshape", rows, build.constant(np.array([-1, 32, 1, 1])))
    assert problems(build.finish(output, 32)) == [
        (
            "warning",
            "quantized weights that pass through Reshape, which are not checked (1 layers)",
        )
    ]


def test_stored_int8_weights_through_a_reshape_are_named():
    build = Builder()
    scale = build.constant(np.float32(0.1))
    stored = build.add("DequantizeLinear", build.constant(np.ones((32, 27), np.int8)), scale)
    weight = build.add("Reshape", stored, build.constant(np.array([32, 3, 3, 3])))
    graph = build.finish(build.add("Conv", build.pair("images"), weight), 32)
    assert [problem for _, problem in problems(graph)] == [
        "int8 weights, which TensorRT 8 does not accept (1 layers)",
        "quantized weights that pass through Reshape, which are not checked (1 layers)",
    ]


def test_reshaped_activation_with_several_scales_is_still_an_error():
    build = Builder()
    flat = build.add("Flatten", "images")
    pair = build.pair(flat, np.full(192, 0.1, np.float32), np.zeros(192, np.int8), axis=1)
    images = build.add("Reshape", pair, build.constant(np.array([-1, 3, 8, 8])))
    found = errors(lint_model(build.finish(images, 3)))
    assert {f.problem for f in found} == {"activations with several scales"}


@pytest.mark.parametrize("with_zero", [True, False])
def test_int4_weights_in_blocks_are_one_warning(with_zero):
    build = Builder()
    scale = build.constant(np.full((2, 32), 0.1, np.float32))
    zero = [build.constant(zeros("INT4", 2, 32))] if with_zero else []
    stored = build.constant(zeros("INT4", 8, 32))
    weight = build.add("DequantizeLinear", stored, scale, *zero, axis=0, block_size=4)
    graph = build.finish(build.add("MatMul", "images", weight), 3, opset=21)
    assert problems(graph) == [
        ("warning", "values of type INT4, which are not checked (1 quantizers)")
    ]


@pytest.mark.parametrize("named", ["zero point", "output_dtype"])
def test_float8_activations_are_one_warning(named):
    build = Builder()
    scale = build.constant(np.float32(0.1))
    zero = [build.constant(zeros("FLOAT8E4M3FN"))] if named == "zero point" else []
    kind = {} if zero else {"output_dtype": TensorProto.FLOAT8E4M3FN}
    levels = build.add("QuantizeLinear", "images", scale, *zero, **kind)
    graph = build.finish(build.add("DequantizeLinear", levels, scale, *zero), 3, opset=21)
    assert problems(graph) == [
        ("warning", "values of type FLOAT8E4M3FN, which are not checked (2 quantizers)")
    ]


def test_float8_weights_with_int8_activations_are_one_warning():
    build = Builder()
    scale = build.constant(np.full(32, 0.1, np.float32))
    stored = build.constant(zeros("FLOAT8E4M3FN", 32, 3, 3, 3))
    weight = build.add("DequantizeLinear", stored, scale, axis=0)
    graph = build.finish(build.add("Conv", build.pair("images"), weight), 32, opset=21)
    assert problems(graph) == [
        ("warning", "values of type FLOAT8E4M3FN, which are not checked (1 quantizers)")
    ]


@pytest.mark.parametrize("kind", ["FLOAT8E5M2", "UINT4"])
def test_type_that_tensorrt_does_not_accept_is_an_error(kind):
    build = Builder()
    parameters = build.constant(np.float32(0.1)), build.constant(zeros(kind))
    levels = build.add("QuantizeLinear", "images", *parameters)
    graph = build.finish(build.add("DequantizeLinear", levels, *parameters), 3, opset=21)
    assert set(problems(graph)) == {("error", "the zero point is not an int8 0")}


@pytest.mark.parametrize("dequantized", [True, False])
def test_moved_levels_without_a_dequantizer_are_an_error(dequantized):
    """A convolution takes no int8 weights, so the graph is invalid."""
    build = Builder()
    images = build.pair("images")
    scale, zero = map(build.constant, PER_CHANNEL)
    levels = build.add("QuantizeLinear", build.constant(np.ones((32, 3, 3, 3), np.float32)), scale)
    weight = build.add("Transpose", levels, perm=[0, 1, 3, 2])
    if dequantized:
        weight = build.add("DequantizeLinear", weight, scale, zero, axis=0)
    graph = build.finish(build.add("Conv", images, weight), 32)
    found = [problem for severity, problem in problems(graph) if severity == "error"]
    assert ("no DequantizeLinear follows" in found) is not dequantized
