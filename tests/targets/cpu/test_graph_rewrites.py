"""Rewriting a graph for a CPU does not change its results."""

import copy

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.cpu.session import compile_graph, open_session, predict
from targets.graph.integer_relu import with_integer_relus
from targets.graph.topology import Graph
from targets.graph.unsigned_activations import with_unsigned_activations
from tests.support.graphs import Builder, quantized_convolution
from tests.support.random_graphs import quantized_networks

REWRITES = (with_unsigned_activations, with_integer_relus)


def logits_of(model, images, folder, optimized=False):
    onnx.checker.check_model(model)
    onnx.save(model, folder / "graph.onnx")
    return predict(open_session(folder / "graph.onnx", optimized), images)


def rewritten(model, *rewrites):
    model = copy.deepcopy(model)
    for rewrite in rewrites:
        rewrite(model)
    return model


@settings(deadline=None)
@given(model=quantized_networks(), seed=st.integers(0, 99), spread=st.sampled_from([0.3, 3, 30]))
def test_rewrites_keep_the_logits_of_random_graphs(model, seed, spread, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    images = np.random.default_rng(seed).normal(scale=spread, size=(3, 3, 8, 8))
    images = images.astype(np.float32)
    expected = logits_of(model, images, folder)
    for rewrites in ((REWRITES[0],), (REWRITES[1],), REWRITES, REWRITES[::-1]):
        actual = logits_of(rewritten(model, *rewrites), images, folder)
        np.testing.assert_array_equal(actual, expected)


def test_rewrites_keep_rounding_of_ties_and_range_limits(tmp_path):
    """The inputs are multiples of half a step, from below the lowest level to above the highest."""
    build = Builder()
    scale = np.float32(0.25)
    model = build.finish(build.pair(build.add("Relu", build.pair("images", scale)), scale), 3)
    steps = np.arange(-270, 270, dtype=np.float32) * scale / 2
    images = np.broadcast_to(steps[:, None, None, None], (540, 3, 8, 8)).copy()
    actual = logits_of(rewritten(model, *REWRITES), images, tmp_path)
    np.testing.assert_array_equal(actual, logits_of(model, images, tmp_path))


def test_rewritten_convolutions_with_relu_run_in_integers(tmp_path):
    build = Builder()
    x = build.pair(build.add("Relu", build.convolution(build.pair("images"), 3, 32)))
    x = build.pair(build.add("Relu", build.convolution(x, 32, 32)))
    model = build.finish(x, 32)
    counts = {}
    for name, rewrites in (("original", ()), ("rewritten", REWRITES)):
        onnx.save(rewritten(model, *rewrites), tmp_path / "graph.onnx")
        counts[name] = compile_graph(tmp_path / "graph.onnx", tmp_path / "c.onnx").integer_layers
    assert counts == {"original": 0, "rewritten": 2}


def clipped(top, scale):
    """Return a graph that clips a tensor at 0 and `top`, and then quantizes it."""
    build = Builder()
    limits = [build.constant(np.float32(value)) for value in (0, top)]
    return build.finish(build.pair(build.add("Clip", "images", *limits), scale), 3)


@pytest.mark.parametrize(
    ("levels", "kept"), [(126.4, True), (126.6, False), (127.0, False), (200.0, False)]
)
def test_clip_at_the_highest_level_or_above_is_a_relu(levels, kept, tmp_path):
    scale = np.float32(0.05)
    model = clipped(levels * scale, scale)
    after = rewritten(model, with_integer_relus)
    assert any(node.op_type == "Clip" for node in after.graph.node) is kept
    steps = np.arange(-300, 300, dtype=np.float32) * scale / 2
    images = np.broadcast_to(steps[:, None, None, None], (600, 3, 8, 8)).copy()
    expected = logits_of(model, images, tmp_path)
    np.testing.assert_array_equal(logits_of(after, images, tmp_path), expected)


def test_relu_of_quantized_values_stays(tmp_path):
    """Two pairs of Q and DQ in a row: ONNX Runtime would merge them and change the values."""
    build = Builder()
    narrow = build.pair(build.convolution(build.pair("images"), 3, 8), np.float32(0.01))
    wide = build.pair(build.add("Relu", narrow), np.float32(0.04))
    model = build.finish(build.convolution(wide, 8, 4), 4)
    assert rewritten(model, with_integer_relus) == model
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    onnx.save(with_unsigned_activations(model), tmp_path / "graph.onnx")
    slow, fast = (
        predict(open_session(tmp_path / "graph.onnx", optimized=optimized), images)
        for optimized in (False, True)
    )
    assert np.linalg.norm(fast - slow) < 0.05 * np.linalg.norm(slow)


def test_activations_become_unsigned_and_weights_stay_signed():
    model = with_unsigned_activations(quantized_convolution())
    graph = Graph(model)
    zeros = {n.name: graph.constants[n.input[2]] for n in graph.nodes if "quantize" in n.name}
    assert {z.dtype for z in zeros.values()} == {np.dtype(np.uint8)}
    assert graph.constants["weight_zero"].dtype == np.int8


def test_activation_with_a_zero_point_is_refused():
    with pytest.raises(ValueError, match="quantize: its zero point is not an int8 0"):
        with_unsigned_activations(quantized_convolution(activation_zero=np.int8(3)))
