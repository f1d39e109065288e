"""Malformed graphs are refused in one line; unusual ones are not."""

import onnx
import pytest
from onnx import TensorProto, helper

from targets.graph.graph_file import read_graph
from targets.graph.structure import check_structure
from tests.support.graphs import quantized_convolution, residual

make = helper.make_node


def model(*nodes, functions=()):
    x, c = (
        helper.make_tensor_value_info(name, kind, None)
        for name, kind in (("x", TensorProto.FLOAT), ("c", TensorProto.BOOL))
    )
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    graph = helper.make_graph(list(nodes), "graph", [x, c], [y])
    return helper.make_model(graph, opset_imports=sets, functions=list(functions))


def branching(*nodes):
    """Return an If whose branches return `r`."""
    result = helper.make_tensor_value_info("r", TensorProto.FLOAT, None)
    branch = helper.make_graph(list(nodes), "branch", [], [result])
    return make("If", ["c"], ["y"], then_branch=branch, else_branch=branch)


RING = (make("Add", ["x", "q"], ["p"], name="add"), make("Relu", ["p"], ["q"]))


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ((*RING, make("Abs", ["q"], ["y"])), "form a cycle: '(add|q)'"),
        ((make("Relu", ["y"], ["y"]),), "form a cycle: 'y'"),
        ((branching(*RING, make("Abs", ["q"], ["r"])),), "form a cycle"),
        ((branching(make("Abs", ["z"], ["r"])), make("Abs", ["y"], ["z"])), "form a cycle"),
        ((make("Conv", ["x"], ["y"], name="layer"),), "Conv without its 2 inputs: 'layer'"),
        ((make("MatMul", ["x", ""], ["y"]),), "MatMul without its 2 inputs: 'y'"),
        ((make("Relu", ["x"], []), make("Abs", ["x"], ["y"])), "without its 1 outputs: 'Relu'"),
        ((branching(make("QuantizeLinear", ["x"], ["r"])),), "QuantizeLinear without its 2"),
        ((make("Abs", ["absent"], ["y"]),), "no source: 'absent'"),
        ((make("Abs", ["x"], ["z"]),), "no source: 'y'"),
        ((make("Abs", ["x"], ["y"]), make("Relu", ["x"], ["y"])), "several sources: 'y'"),
        ((make("Abs", ["c"], ["x"]), make("Relu", ["x"], ["y"])), "several sources: 'x'"),
        ((make("Softmax", ["x"], ["y"], axis="1"),), "'axis' of Softmax has a wrong type"),
    ],
)
def test_malformed_graph_is_one_line(tmp_path, nodes, problem):
    onnx.save(model(*nodes), tmp_path / "graph.onnx")
    with pytest.raises(ValueError, match=problem) as caught:
        read_graph(tmp_path / "graph.onnx")
    assert str(caught.value).startswith(f"{tmp_path / 'graph.onnx'}: malformed graph: ")
    assert "\n" not in str(caught.value)


def test_cycle_inside_a_function_is_found():
    body = [*RING, make("Abs", ["q"], ["y"])]
    own = helper.make_function("own", "f", ["x"], ["y"], body, [helper.make_opsetid("", 17)])
    with pytest.raises(ValueError, match="form a cycle: 'f/add'"):
        check_structure(model(make("f", ["x"], ["y"], domain="own"), functions=[own]))


def test_valid_graphs_pass():
    for graph in (quantized_convolution(), residual()):
        check_structure(graph)


@pytest.mark.parametrize(
    "nodes",
    [
        (make("Abs", ["z"], ["y"]), make("Relu", ["x"], ["z"])),
        (make("Conv", ["x"], ["y"], domain="elsewhere"),),
        (make("Clip", ["x", "", ""], ["y"]),),
        (make("Unknown", [], ["y"]),),
        (branching(make("Abs", ["x"], ["r"])),),
    ],
)
def test_unusual_graphs_pass(nodes):
    check_structure(model(*nodes))


def test_loop_may_read_its_own_state():
    body = helper.make_graph(
        [make("Relu", ["s"], ["t"]), make("Identity", ["go"], ["on"])],
        "body",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("i", "go", "s")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("on", "t")],
    )
    check_structure(model(make("Loop", ["", "c", "x"], ["y"], body=body)))
