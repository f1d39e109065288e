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


@pytest.mark.parametrize(
    ("shape", "axis", "fault"),
    [
        ((32, 3, 3, 3), 0, None),
        ((32, 3, 3, 3), -4, None),
        ((32, 3, 3, 3), -3, "along axis -3, not 0"),
        ((8, 32), -1, None),
        ((8, 32), -2, "along axis -2, not 1"),
        ((2, 8, 32), 2, None),
        ((2, 8, 32), -1, None),
        ((2, 8, 32), 1, "along axis 1, not 2"),
        ((2, 2, 8, 32), 3, None),
    ],
)
def test_axis_of_weight_scales_counts_from_either_end(shape, axis, fault):
    build = Builder()
    scale = np.full(shape[axis], 0.1, np.float32)
    zero = np.zeros(scale.shape, np.int8)
    weight = build.pair(build.constant(np.ones(shape, np.float32)), scale, zero, axis=axis)
    layer = build.add("Conv" if shape[0] == 32 else "MatMul", build.pair("images"), weight)
    found = [f.problem for f in errors(lint_model(build.finish(layer, 32)))]
    assert found == ([] if fault is None else [f"weight scales {fault}"])


@pytest.mark.parametrize("axis", [4, -5])
def test_axis_that_the_weights_lack_is_an_error(axis):
    graph = quantized_convolution()
    for quantizer in (n for n in graph.graph.node if n.name in ("wq", "wdq")):
        quantizer.attribute[0].i = axis
    assert ("error", "conv", f"weight scales along axis {axis}, not 0") in found(graph)


@pytest.mark.parametrize("kind", ["UINT8", "INT16", "FLOAT8E5M2"])
def test_output_type_other_than_int8_is_an_error(kind):
    build = Builder()
    scale = build.constant(np.float32(0.1))
    levels = build.add("QuantizeLinear", "images", scale, output_dtype=getattr(TensorProto, kind))
    graph = build.finish(build.add("DequantizeLinear", levels, scale), 3, opset=21)
    assert [f.problem for f in errors(lint_model(graph))] == [f"output_dtype is {kind}, not INT8"]


def test_output_type_int8_needs_no_zero_point():
    build = Builder()
    scale = build.constant(np.float32(0.1))
    levels = build.add("QuantizeLinear", "images", scale, output_dtype=TensorProto.INT8)
    floats = build.add("DequantizeLinear", levels, scale)
    assert lint_model(build.finish(floats, 3, opset=21)) == []


def test_uint8_weights_without_zero_point_are_an_error():
    build = Builder()
    stored = build.constant(np.ones((32, 3, 3, 3), np.uint8))
    weight = build.add("DequantizeLinear", stored, build.constant(np.float32(0.1)))
    graph = build.finish(build.add("Conv", build.pair("images"), weight), 32)
    assert [f.problem for f in errors(lint_model(graph))] == ["the quantized values are uint8"]


@pytest.mark.parametrize("attribute", [{"value_float": 0.05}, {"value_floats": [0.05]}])
def test_scale_may_be_in_any_form_of_constant(attribute):
    graph = quantized_convolution()
    graph.graph.initializer.remove(next(t for t in graph.graph.initializer if t.name == "scale"))
    graph.graph.node.insert(0, helper.make_node("Constant", [], ["scale"], **attribute))
    assert lint_model(graph) == []


def test_text_as_scale_is_an_error():
    graph = quantized_convolution(activation_scale=np.array("0.1", dtype=object))
    assert ("error", "quantize", "the scale is not positive and finite") in found(graph)


def inside_branches(graph):
    """Return a model with all nodes of a graph in both branches of an If."""
    branch = helper.make_graph(graph.graph.node, "branch", [], graph.graph.output)
    choice = helper.make_node("If", ["which"], ["out"], then_branch=branch, else_branch=branch)
    which = numpy_helper.from_array(np.array(True), "which")
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    inputs, constants = graph.graph.input, [*graph.graph.initializer, which]
    return helper.make_model(helper.make_graph([choice], "outer", inputs, [output], constants))


def inside_function(graph):
    """Return a model with all nodes of a graph in a function."""
    names = ["images", *(t.name for t in graph.graph.initializer)]
    body = helper.make_function(
        "own", "network", names, ["logits"], graph.graph.node, graph.opset_import
    )
    call = helper.make_node("network", names, ["logits"], domain="own")
    outer = helper.make_graph(
        [call], "outer", graph.graph.input, graph.graph.output, graph.graph.initializer
    )
    sets = [*graph.opset_import, helper.make_opsetid("own", 1)]
    return helper.make_model(outer, opset_imports=sets, functions=[body])


@pytest.mark.parametrize("wrap", [inside_branches, inside_function])
def test_rules_hold_inside_branches_and_functions(wrap):
    assert lint_model(wrap(quantized_convolution())) == []
    problems = {f.problem for f in lint_model(wrap(quantized_convolution(omit_zero=True)))}
    assert problems == {"no zero point, which means uint8"}
    problems = {f.problem for f in lint_model(wrap(quantized_convolution(weight_axis=1)))}
    assert problems == {"weight scales along axis 1, not 0"}


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
