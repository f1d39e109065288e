"""Residual additions in the form that TensorRT fuses."""

import copy

import numpy as np
import onnx
import pytest

from targets.cpu.session import open_session, predict
from targets.graph.residual_additions import unquantize_convolution_branches
from targets.graph.topology import Graph
from targets.lint.linter import lint_model
from tests.support.graphs import Builder, residual


def test_only_the_convolution_branch_loses_its_quantizers():
    assert unquantize_convolution_branches(residual(on_branch=True)) != residual(on_branch=True)
    operators = [
        n.op_type for n in unquantize_convolution_branches(residual(on_branch=True)).graph.node
    ]
    assert operators == [n.op_type for n in residual().graph.node]
    assert lint_model(unquantize_convolution_branches(residual(on_branch=True))) == []


def test_graph_without_such_quantizers_is_unchanged():
    for model in (residual(), residual(on_identity=False, on_branch=True)):
        before = copy.deepcopy(model)
        assert unquantize_convolution_branches(model) == before


def test_logits_equal_those_of_a_graph_without_the_quantizers(tmp_path):
    images = np.random.default_rng(0).normal(size=(8, 3, 8, 8)).astype(np.float32)
    logits = {}
    for name, model in (
        ("kept", residual(on_branch=True)),
        ("removed", unquantize_convolution_branches(residual(on_branch=True))),
        ("without", residual()),
    ):
        onnx.save(model, tmp_path / "graph.onnx")
        logits[name] = predict(open_session(tmp_path / "graph.onnx", optimized=False), images)
    np.testing.assert_array_equal(logits["removed"], logits["without"])
    assert not np.array_equal(logits["kept"], logits["removed"])


@pytest.mark.parametrize("shortcut_first", [False, True])
def test_shortcut_convolution_keeps_its_quantizers(shortcut_first):
    build = Builder()
    x = build.pair(build.convolution(build.pair("images"), 3, 32))
    y = build.pair(build.add("Relu", build.convolution(x, 32, 32)))
    main, shortcut = (build.convolution(tensor, 32, 32) for tensor in (y, x))
    branches = [build.pair(main), build.pair(shortcut)]
    added = build.add("Add", *branches[:: -1 if shortcut_first else 1])
    model = unquantize_convolution_branches(build.finish(build.pair(added), 32))
    graph = Graph(model)
    (addition,) = (node for node in graph.nodes if node.op_type == "Add")
    assert {main, branches[1]} == set(addition.input)


def test_convolution_with_another_consumer_keeps_its_quantizers():
    build = Builder()
    x = build.pair(build.convolution(build.pair("images"), 3, 32))
    y = build.pair(build.convolution(x, 32, 32))
    both = build.add("Add", build.pair(build.add("Add", y, x)), y)
    model = build.finish(build.pair(both), 32)
    before = copy.deepcopy(model)
    assert unquantize_convolution_branches(model) == before
