"""Hypothesis strategy for quantized networks."""

import numpy as np
from hypothesis import strategies as st

from tests.support.graphs import Builder

CHANNELS = 4
"""Channels of every tensor, so that any two tensors can be added."""


@st.composite
def quantized_networks(draw):
    """Return a model of up to six blocks whose inputs and weights are all quantized."""
    build = Builder(draw(st.integers(0, 2**16)))

    def scale():
        return np.float32(draw(st.floats(0.01, 0.3)))

    x = build.pair("images", scale())
    x = build.pair(build.convolution(x, 3, CHANNELS), scale())
    for kind in draw(st.lists(st.sampled_from(BLOCKS), max_size=6)):
        x = kind(build, x, scale)
    return build.finish(x, CHANNELS)


def plain(build, x, scale):
    return build.pair(build.convolution(x, CHANNELS, CHANNELS), scale())


def with_relu(build, x, scale):
    return build.pair(build.add("Relu", build.convolution(x, CHANNELS, CHANNELS)), scale())


def pooled(build, x, scale):
    made = build.add("Relu", build.convolution(x, CHANNELS, CHANNELS, kernel=1))
    return build.pair(build.add("MaxPool", made, kernel_shape=[3, 3], pads=[1] * 4), scale())


def residual(build, x, scale):
    y = with_relu(build, x, scale)
    y = build.pair(build.convolution(y, CHANNELS, CHANNELS), scale())
    return build.pair(build.add("Relu", build.add("Add", y, x)), scale())


def shared_relu(build, x, scale):
    """Add a block whose ReLU is read in float as well as quantized."""
    made = build.add("Relu", build.convolution(x, CHANNELS, CHANNELS))
    return build.pair(build.add("Add", build.pair(made, scale()), made), scale())


BLOCKS = (plain, with_relu, pooled, residual, shared_relu)
