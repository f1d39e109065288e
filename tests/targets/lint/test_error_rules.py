"""Every error rule has a graph that violates it."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from targets.lint.linter import errors, lint_model
from tests.support.graphs import ZERO, Builder, model, node, quantized_convolution


def found(graph):
    return {(f.severity, f.node, f.problem) for f in lint_model(graph)}


@pytest.mark.parametrize(
    ("changes", "node", "problem"),
    [
        ({"activation_zero": np.uint8(0)}, "quantize", "not an int8 0"),
        ({"activation_zero": np.int8(3)}, "quantize", "not an int8 0"),
        ({"omit_zero": True}, "quantize", "no zero point"),
        ({"activation_scale": np.float32(0)}, "quantize", "not positive"),
        ({"activation_scale": np.float32(-1)}, "quantize", "not positive"),
        ({"activation_scale": np.float32(np.inf)}, "quantize", "finite"),
        ({"weight_axis": 1}, "conv", "along axis 1, not 0"),
        ({"opset": 12}, "wdq", "below opset 13"),
        (
            {
                "activation_scale": np.full(3, 0.1, np.float32),
                "activation_zero": np.zeros(3, np.int8),
            },
            "quantize",
            "several scales",
        ),
    ],
)
def test_invalid_quantizer_is_an_error(changes, node, problem):
    findings = errors(lint_model(quantized_convolution(**changes)))
    assert any(f.node == node and problem in f.problem for f in findings), findings
    assert all(f.remedy and "\n" not in str(f) for f in findings)


@pytest.mark.parametrize(("axis", "faults"), [(0, 0), (1, 1)])
def test_transposed_convolution_has_one_scale_per_input_channel(axis, faults):
    graph = quantized_convolution(weight_axis=axis)
    next(n for n in graph.graph.node if n.op_type == "Conv").op_type = "ConvTranspose"
    assert len([f for f in errors(lint_model(graph)) if "along axis" in f.problem]) == faults


def test_computed_scale_is_an_error():
    graph = quantized_convolution()
    graph.graph.node.insert(0, helper.make_node("Abs", ["raw"], ["scale"], name="abs"))
    next(t for t in graph.graph.initializer if t.name == "scale").name = "raw"
    assert ("error", "quantize", "the scale is not a constant") in found(graph)


def with_identity(graph, tensor):
    """Add an Identity after one of the graph's constants and return the graph."""
    for user in graph.graph.node:
        for index, name in enumerate(user.input):
            if name == tensor:
                user.input[index] = "copied"
    graph.graph.node.insert(0, helper.make_node("Identity", [tensor], ["copied"], name="id"))
    return graph


@pytest.mark.parametrize("tensor", ["scale", "weight"])
def test_identity_on_a_constant_is_an_error(tensor):
    refused = [
        f.problem for f in errors(lint_model(with_identity(quantized_convolution(), tensor)))
    ]
    assert "Identity on a constant, which TensorRT 8 refuses" in refused


def test_integer_operator_is_an_error():
    nodes = [
        node("DynamicQuantizeLinear", ["images"], ["q", "s", "z"]),
        node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        node("Conv", ["x", "w"], ["y"]),
        node("GlobalAveragePool", ["y"], ["p"]),
        node("Flatten", ["p"], ["logits"]),
    ]
    graph = model(nodes, {"w": np.ones((4, 3, 3, 3), np.float32)}, 4)
    assert ("error", "q_node", "unsupported operator DynamicQuantizeLinear") in found(graph)


def test_quantized_bias_is_an_error():
    graph = quantized_convolution()
    constants = {t.name: t for t in graph.graph.initializer}
    constants["bias"].CopyFrom(numpy_helper.from_array(np.zeros(32, np.int32), "levels"))
    scale = numpy_helper.from_array(np.full(32, 0.1, np.float32), "bias_scale")
    graph.graph.initializer.append(scale)
    quantizer = helper.make_node("DequantizeLinear", ["levels", "bias_scale"], ["bias"], name="b")
    quantizer.attribute.append(helper.make_attribute("axis", 0))
    graph.graph.node.insert(0, quantizer)
    assert {f.problem for f in errors(lint_model(graph))} == {"the bias is quantized"}


def test_computed_weights_are_an_error():
    build = Builder()
    scale = [build.constant(np.float32(0.1)), build.constant(ZERO)]
    computed = build.add("Abs", build.constant(np.ones((32, 3, 3, 3), np.float32)))
    weight = build.add("DequantizeLinear", build.add("QuantizeLinear", computed, *scale), *scale)
    graph = build.finish(build.add("Conv", build.pair("images"), weight), 32)
    assert {f.problem for f in errors(lint_model(graph))} == {
        "the quantized weights are not constants"
    }


def test_quantizer_without_dequantizer_is_an_error():
    build = Builder()
    ends = [build.constant(np.float32(0.1)), build.constant(ZERO)]
    levels = build.add("QuantizeLinear", "images", *ends)
    floats = build.add("Cast", levels, to=TensorProto.FLOAT)
    graph = build.finish(floats, 3)
    assert {f.problem for f in errors(lint_model(graph))} == {"no DequantizeLinear follows"}


def test_float64_is_an_error():
    build = Builder()
    wide = build.add("Cast", "images", to=TensorProto.DOUBLE)
    scaled = build.add("Mul", wide, build.constant(np.float64(2)))
    graph = build.finish(build.add("Cast", scaled, to=TensorProto.FLOAT), 3)
    assert {f.problem for f in errors(lint_model(graph))} == {"float64 constant"}
