"""A padding with zeros becomes a part of the convolution."""

import copy

import numpy as np
import pytest
from onnx import helper

from targets.graph.convolution_pads import merge_pads
from tests.support.graphs import Builder, run_graph

SIZES = [0, 0, 1, 2, 0, 0, 3, 0]
"""One row above and three below, two columns on the left."""


def padded(sizes=SIZES, value=None, mode="constant", second=None, computed=False):
    """Return images -> Pad -> Conv, and optionally a second function that reads the Pad."""
    build = Builder()
    pads = build.constant(np.array(sizes, np.int64))
    if computed:
        pads = build.add(
            "Concat", *map(build.constant, np.array(sizes, np.int64).reshape(2, 4)), axis=0
        )
    inputs = ["images", pads] + ([] if value is None else [build.constant(np.float32(value))])
    image = build.add("Pad", *inputs, mode=mode)
    convolved = build.convolution(image, 3, 4)
    if second is not None:
        build.add(second, image)
    return build.finish(convolved, 4)


def operators(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("options", [{}, {"value": 0.0}, {"computed": True}])
def test_padding_with_zeros_is_merged(options):
    model = padded(**options)
    images = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    expected = run_graph(model, images)
    merged = merge_pads(model)
    assert "Pad" not in operators(merged)
    np.testing.assert_allclose(run_graph(merged, images), expected, rtol=1e-5, atol=1e-6)


def test_pads_of_the_convolution_are_added():
    model = padded()
    (convolution,) = (node for node in model.graph.node if node.op_type == "Conv")
    pads = next(found for found in convolution.attribute if found.name == "pads")
    before = list(pads.ints)
    merge_pads(model)
    pads = next(found for found in convolution.attribute if found.name == "pads")
    assert list(pads.ints) == [old + new for old, new in zip(before, [1, 2, 3, 0], strict=True)]


@pytest.mark.parametrize(
    "options",
    [
        {"value": 1.0},
        {"mode": "reflect"},
        {"sizes": [0, 0, -1, 0, 0, 0, 0, 0]},
        {"sizes": [0, 1, 0, 0, 0, 0, 0, 0]},
        {"second": "Relu"},
    ],
)
def test_other_paddings_stay(options):
    model = padded(**options)
    assert merge_pads(copy.deepcopy(model)) == model


def test_padding_before_automatic_padding_stays():
    model = padded()
    (convolution,) = (node for node in model.graph.node if node.op_type == "Conv")
    kept = [found for found in convolution.attribute if found.name != "pads"]
    del convolution.attribute[:]
    convolution.attribute.extend([*kept, helper.make_attribute("auto_pad", "SAME_UPPER")])
    assert merge_pads(copy.deepcopy(model)) == model
