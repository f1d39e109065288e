"""Functions and inner graphs become part of one graph, with bounds for untrusted files."""

import numpy as np
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from targets.graph import flattening
from targets.graph.flattening import flatten
from tests.support.graphs import quantized_convolution

ONNX, OWN = helper.make_opsetid("", 17), helper.make_opsetid("own", 1)


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def model(nodes, functions=(), initializers=()):
    graph = helper.make_graph(nodes, "graph", [value("x")], [value("y")], list(initializers))
    return helper.make_model(graph, opset_imports=[ONNX, OWN], functions=list(functions))


def function(name, nodes, attributes=()):
    """Return a function of `a` that returns `b`."""
    return helper.make_function("own", name, ["a"], ["b"], nodes, [ONNX, OWN], list(attributes))


def call(name, *ends, **attributes):
    return helper.make_node(name, [ends[0]], [ends[1]], domain="own", name=ends[1], **attributes)


def edges(flat):
    return [(n.op_type, list(n.input), list(n.output)) for n in flat.graph.node]


def test_model_with_all_nodes_in_its_graph_is_returned_as_it_is():
    graph = quantized_convolution()
    assert flatten(graph) is graph


def test_every_call_of_a_function_has_its_own_tensors():
    body = [helper.make_node("Relu", ["a"], ["m"], name="n"), helper.make_node("Abs", ["m"], ["b"])]
    flat = flatten(model([call("f", "x", "m"), call("f", "m", "y")], [function("f", body)]))
    assert edges(flat) == [
        ("Relu", ["x"], ["m.1"]),
        ("Abs", ["m.1"], ["m"]),
        ("Relu", ["m"], ["m.2"]),
        ("Abs", ["m.2"], ["y"]),
    ]
    assert [n.name for n in flat.graph.node] == ["m/n", "", "y/n", ""]


def test_function_attributes_have_the_values_of_the_call():
    node = helper.make_node("Softmax", ["a"], ["b"])
    for reference in ("axis", "absent"):
        node.attribute.add(name=reference, type=AttributeProto.INT, ref_attr_name=reference)
    flat = flatten(model([call("f", "x", "y", axis=3)], [function("f", [node], ["axis"])]))
    (softmax,) = flat.graph.node
    assert [(a.name, a.i, a.ref_attr_name) for a in softmax.attribute] == [("axis", 3, "")]


def test_branches_see_outer_tensors_and_keep_their_own_apart():
    def branch(kind):
        nodes = [helper.make_node(kind, ["x", "k"], ["r"])]
        constant = numpy_helper.from_array(np.float32(len(kind)), "k")
        return helper.make_graph(nodes, kind, [], [value("r")], [constant])

    choice = helper.make_node(
        "If", ["c"], ["y"], then_branch=branch("Add"), else_branch=branch("Mul")
    )
    flat = flatten(model([helper.make_node("Cast", ["x"], ["c"], to=TensorProto.BOOL), choice]))
    # onnx sorts attributes by name: the else branch comes first.
    assert edges(flat)[1:] == [
        ("Mul", ["x", "k"], ["r"]),
        ("Add", ["x", "k.1"], ["r.1"]),
        ("If", ["c", "r", "r.1"], ["y"]),
    ]
    assert [t.name for t in flat.graph.initializer] == ["k", "k.1"]
    assert [o.name for o in flat.graph.output] == ["r", "r.1", "y"]


def test_function_that_calls_itself_is_refused():
    endless = function("f", [call("f", "a", "m"), call("f", "m", "b")])
    with pytest.raises(ValueError, match="nested deeper than 64"):
        flatten(model([call("f", "x", "y")], [endless]))


@pytest.mark.parametrize(("limit", "problem"), [("MAX_NODES", "nodes"), ("MAX_BYTES", "bytes")])
def test_functions_that_multiply_are_refused(monkeypatch, limit, problem):
    monkeypatch.setattr(flattening, limit, 1000)
    doubled = [
        function(f"f{i}", [call(f"f{i + 1}", "a", "m"), call(f"f{i + 1}", "m", "b")])
        for i in range(40)
    ]
    last = function("f40", [helper.make_node("Relu", ["a"], ["b"])])
    with pytest.raises(ValueError, match=f"more than 1,000 {problem}"):
        flatten(model([call("f0", "x", "y")], [*doubled, last]))


def test_node_name_that_is_not_utf8_is_accepted():
    body = [helper.make_node("Relu", ["a"], ["b"], name="NAME")]
    written = model([call("f", "x", "y")], [function("f", body)]).SerializeToString()
    flat = flatten(ModelProto.FromString(written.replace(b"NAME", b"N\xffME")))
    assert edges(flat) == [("Relu", ["x"], ["y"])]
