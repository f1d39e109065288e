"""Quantized outputs of convolutions in the form that TensorRT fuses."""

import copy

import numpy as np
import pytest

from targets.graph.convolution_outputs import unquantize_unused_outputs
from targets.graph.topology import QDQ_OPERATORS
from tests.support.graphs import Builder, run_graph


def with_sigmoid(*, quantized, relu=False):
    """Return conv -> [relu ->] [Q/DQ ->] x * sigmoid(x) -> Q/DQ -> conv."""
    build = Builder()
    x = build.convolution(build.pair("images"), 3, 8)
    x = build.add("Relu", x) if relu else x
    x = build.pair(x) if quantized else x
    gated = build.add("Mul", x, build.add("Sigmoid", x))
    return build.finish(build.convolution(build.pair(gated), 8, 4), 4)


def quantizers(model):
    return sum(node.op_type in QDQ_OPERATORS for node in model.graph.node)


@pytest.mark.parametrize("relu", [False, True])
def test_output_that_only_a_function_reads_loses_its_quantizers(relu):
    images = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    kept, without = (
        with_sigmoid(quantized=True, relu=relu),
        with_sigmoid(quantized=False, relu=relu),
    )
    removed = unquantize_unused_outputs(copy.deepcopy(kept))
    assert quantizers(removed) == quantizers(without) == quantizers(kept) - 2
    np.testing.assert_array_equal(run_graph(removed, images), run_graph(without, images))
    assert not np.array_equal(run_graph(kept, images), run_graph(removed, images))


def chain(*between):
    """Return conv -> Q/DQ -> the given functions -> conv, with a sigmoid as a second reader."""
    build = Builder()
    x = build.pair(build.convolution(build.pair("images"), 3, 4))
    build.add("Sigmoid", x)
    for kind, attributes in between:
        x = build.add(kind, x, **attributes)
    return build.finish(build.convolution(x, 4, 4), 4)


@pytest.mark.parametrize(
    "between",
    [
        [],
        [("MaxPool", {"kernel_shape": [2, 2]})],
        [("Transpose", {"perm": [0, 1, 3, 2]}), ("MaxPool", {"kernel_shape": [2, 2]})],
    ],
)
def test_output_that_a_layer_reads_keeps_its_quantizers(between):
    model = chain(*between)
    assert unquantize_unused_outputs(copy.deepcopy(model)) == model


def test_terms_of_an_addition_keep_their_quantizers():
    build = Builder()
    x = build.pair(build.convolution(build.pair("images"), 3, 4))
    added = build.add("Add", x, build.pair(build.convolution(x, 4, 4)))
    model = build.finish(build.convolution(build.pair(added), 4, 4), 4)
    assert unquantize_unused_outputs(copy.deepcopy(model)) == model


def test_quantized_logits_keep_their_quantizers():
    build = Builder()
    logits = build.pair(build.convolution(build.pair("images"), 3, 4))
    model = build.finish(logits, 4)
    model.graph.output[0].name = logits
    assert unquantize_unused_outputs(copy.deepcopy(model)) == model
