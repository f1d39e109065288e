import numpy as np
import onnx
import pytest
from onnx import helper

from targets.lint import errors, lint, lint_model
from tests.targets.graphs import model, quantized_convolution


def rules(graph):
    return [(f.severity, f.node, f.rule) for f in lint_model(graph)]


def test_a_right_graph_has_no_findings(tmp_path):
    onnx.save(quantized_convolution(), tmp_path / "right.onnx")
    assert lint(tmp_path / "right.onnx") == []


@pytest.mark.parametrize(
    ("changes", "node", "says"),
    [
        ({"activation_zero": np.uint8(0)}, "quantize", "int8 and 0"),
        ({"activation_zero": np.int8(3)}, "quantize", "int8 and 0"),
        ({"omit_zero": True}, "quantize", "means uint8"),
        ({"activation_scale": np.float32(0)}, "quantize", "positive"),
        ({"activation_scale": np.float32(np.inf)}, "quantize", "finite"),
        ({"weight_axis": 1}, "conv", "axis 0"),
        (
            {
                "activation_scale": np.full(3, 0.1, np.float32),
                "activation_zero": np.zeros(3, np.int8),
            },
            "quantize",
            "one scale a tensor",
        ),
        ({"extra": [helper.make_node("Identity", ["scale"], ["s2"], name="id")]}, "id", "Identity"),
    ],
)
def test_each_rule_catches_its_bad_graph(changes, node, says):
    found = errors(lint_model(quantized_convolution(**changes)))
    assert any(f.node == node and says in f.rule for f in found), found
    assert all(f.remedy and "\n" not in str(f) for f in found)


def test_a_scale_that_is_computed_is_an_error():
    graph = quantized_convolution()
    graph.graph.node.insert(0, helper.make_node("Abs", ["raw"], ["scale"], name="abs"))
    next(t for t in graph.graph.initializer if t.name == "scale").name = "raw"
    assert ("error", "quantize", "the scale is a constant") in rules(graph)


def test_integer_operators_are_refused():
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["images"], ["q", "s", "z"], name="dynamic"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        helper.make_node("Conv", ["x", "w"], ["y"], name="conv"),
        helper.make_node("GlobalAveragePool", ["y"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    graph = model(nodes, {"w": np.ones((4, 3, 3, 3), np.float32)})
    assert ("error", "dynamic", "DynamicQuantizeLinear is not supported") in rules(graph)


def test_a_float_layer_is_a_warning_only():
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["y"], name="conv"),
        helper.make_node("GlobalAveragePool", ["y"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    graph = model(nodes, {"w": np.ones((4, 3, 3, 3), np.float32)})
    assert rules(graph) == [("warning", "conv", "weights are quantized")]
    assert not errors(lint_model(graph))
