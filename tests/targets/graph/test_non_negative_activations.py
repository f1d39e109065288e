"""Quantizers of activations that are never negative become unsigned and get smaller steps."""

import copy

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.catalogue.instruction_sets import Cpu
from targets.cpu.session import compile_graph, open_session, predict, rewrite_for_cpu
from targets.graph.non_negative_activations import with_unsigned_non_negatives
from targets.graph.topology import Graph
from tests.support.graphs import Builder, residual, run_graph
from tests.support.random_graphs import quantized_networks

SCALE = np.float32(0.25)

X86 = Cpu("a CPU", "x86_64", "vnni")


def converted(model):
    return with_unsigned_non_negatives(copy.deepcopy(model))


def zero_points(model):
    """Return the type of the zero point of each activation's quantizer, by its input."""
    graph = Graph(model)
    return {
        node.input[0]: graph.constants[node.input[2]].dtype
        for node in graph.nodes
        if node.op_type == "QuantizeLinear" and not graph.is_weight(node.input[0])
    }


def through(*operators):
    """Return a graph that applies operators to the images, and quantizes the result."""
    build = Builder()
    tensor = "images"
    for operator in operators:
        tensor = build.add(operator, tensor)
    return build.finish(build.pair(tensor, SCALE), 3), tensor


@settings(deadline=None)
@given(value=st.floats(-100, 100, width=32))
def test_values_are_rounded_to_the_smaller_steps_and_clipped_at_the_same_value(value):
    model, _ = through("Relu")
    step = np.float32(float(SCALE) * 127 / 255)
    levels = np.rint(np.float32(max(value, 0)) / step).clip(0, 255)
    actual = run_graph(converted(model), np.full((1, 3, 8, 8), value, np.float32))
    np.testing.assert_allclose(actual, np.full((1, 3), levels * step), rtol=1e-6)


@pytest.mark.parametrize(
    ("operators", "unsigned"),
    [
        (("Relu",), True),
        (("Sigmoid",), True),
        (("Softmax",), True),
        (("Relu", "MaxPool"), True),
        (("Tanh",), False),
        (("Relu", "Neg"), False),
        (("Neg",), False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_only_values_that_cannot_be_negative_become_unsigned(operators, unsigned):
    build = Builder()
    tensor = "images"
    for operator in operators:
        attributes = {"kernel_shape": [2, 2]} if operator == "MaxPool" else {}
        tensor = build.add(operator, tensor, **attributes)
    model = build.finish(build.pair(tensor, SCALE), 3)
    assert (zero_points(converted(model))[tensor] == np.uint8) is unsigned


@pytest.mark.parametrize(("operator", "unsigned"), [("Add", True), ("Mul", True), ("Sub", False)])
def test_result_of_two_non_negatives(operator, unsigned):
    build = Builder()
    left, right = build.add("Relu", "images"), build.add("Sigmoid", "images")
    tensor = build.add(operator, left, right)
    model = build.finish(build.pair(tensor, SCALE), 3)
    assert (zero_points(converted(model))[tensor] == np.uint8) is unsigned


def test_sum_with_a_value_that_can_be_negative_stays_signed():
    build = Builder()
    tensor = build.add("Add", build.add("Relu", "images"), "images")
    assert zero_points(converted(build.finish(build.pair(tensor), 3)))[tensor] == np.int8


def test_relu_of_quantized_values_stays_signed():
    """Two pairs of Q and DQ in a row: ONNX Runtime would merge them and change the values."""
    build = Builder()
    relu = build.add("Relu", build.pair("images", np.float32(0.01)))
    assert zero_points(converted(build.finish(build.pair(relu), 3)))[relu] == np.int8


@pytest.mark.parametrize(("levels", "stays"), [(126.4, True), (126.6, False), (200.0, False)])
def test_clip_at_the_largest_value_becomes_a_relu(levels, stays):
    build = Builder()
    limits = [build.constant(np.float32(value)) for value in (0, levels * SCALE)]
    model = converted(build.finish(build.pair(build.add("Clip", "images", *limits), SCALE), 3))
    operators = {node.op_type for node in model.graph.node}
    assert ("Clip" in operators) is stays
    assert ("Relu" in operators) is not stays


@settings(deadline=None)
@given(model=quantized_networks(), seed=st.integers(0, 99))
def test_random_graphs_stay_valid_and_optimizations_keep_their_logits(
    model, seed, tmp_path_factory
):
    path = tmp_path_factory.mktemp("graphs") / "graph.onnx"
    rewritten = rewrite_for_cpu(copy.deepcopy(model), X86)
    onnx.checker.check_model(rewritten)
    onnx.save(rewritten, path)
    images = np.random.default_rng(seed).normal(size=(3, 3, 8, 8)).astype(np.float32)
    slow, fast = (
        predict(open_session(path, optimized=optimized), images) for optimized in (False, True)
    )
    before = run_graph(model, images)
    # Integer kernels may round a tie to the other side, by one step of a quantizer.
    size = np.abs(before).max() + 1e-3
    assert np.abs(fast - slow).max() < 0.1 * size
    assert np.abs(slow - before).max() < 0.5 * size


def test_convolutions_before_relus_run_in_integers_without_another_operator(tmp_path):
    build = Builder()
    x = build.pair(build.add("Relu", build.convolution(build.pair("images"), 3, 32)))
    x = build.pair(build.add("Relu", build.convolution(x, 32, 32)))
    onnx.save(rewrite_for_cpu(build.finish(x, 32), X86), tmp_path / "graph.onnx")
    compiled = compile_graph(tmp_path / "graph.onnx", tmp_path / "compiled.onnx")
    assert compiled.integer_layers == len(compiled.layers) == 2
    operators = {node.op_type for node in onnx.load(compiled.path).graph.node}
    assert not operators & {"Relu", "QLinearLeakyRelu", "LeakyRelu"}


def test_residual_additions_run_in_integers(tmp_path):
    model = residual(on_branch=True)
    onnx.save(rewrite_for_cpu(model, X86), tmp_path / "graph.onnx")
    compiled = compile_graph(tmp_path / "graph.onnx", tmp_path / "compiled.onnx")
    assert "QLinearAdd" in {node.op_type for node in onnx.load(compiled.path).graph.node}
