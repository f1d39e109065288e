"""The channels of a weight, for every kind of layer."""

import pytest
import torch
from torch import nn

from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.channel_weights import (
    along_inputs,
    along_outputs,
    input_count,
    input_ranges,
    output_ranges,
)
from pipeline.tracing.function_graph import FunctionGraph

LAYERS = {
    "convolution": nn.Conv2d(4, 6, 3, bias=False),
    "grouped": nn.Conv2d(4, 6, 3, groups=2, bias=False),
    "depthwise": nn.Conv2d(4, 4, 3, groups=4, bias=False),
    "depthwise with a multiplier": nn.Conv2d(4, 8, 3, groups=4, bias=False),
    "transposed": nn.ConvTranspose2d(4, 6, 3, bias=False),
    "grouped transposed": nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False),
    "linear": nn.Linear(4, 6, bias=False),
}


@pytest.fixture(params=LAYERS)
def module(request):
    return LAYERS[request.param]


def example(module):
    return torch.randn(2, 4) if module.weight.ndim == 2 else torch.randn(2, 4, 5, 5)


def layer_of(module):
    x = example(module)
    (layer,) = FunctionGraph(fixed_form(nn.Sequential(module), x), x).layers
    return layer


def call(module, weight, x):
    return torch.func.functional_call(module, {"weight": weight}, x)


def test_scaled_weight_scales_the_outputs_and_undoes_scaled_inputs(module):
    layer, x = layer_of(module), example(module)
    y = module(x)
    outputs, inputs = torch.rand(y.shape[1]) + 0.5, torch.rand(4) + 0.5
    shape = (1, -1, *[1] * (x.ndim - 2))
    scaled = module.weight * along_outputs(outputs, layer) * along_inputs(inputs, layer)
    got = call(module, scaled, x / inputs.view(shape))
    torch.testing.assert_close(got, y * outputs.view(shape))


def test_ranges_are_those_of_the_weights_that_a_channel_meets(module):
    """A channel's weights are those that change nothing elsewhere if they become zero."""
    layer, weight = layer_of(module), module.weight.detach()
    assert input_count(layer) == 4
    for count, along, ranges in (
        (example(module).shape[1], along_inputs, input_ranges(weight, layer)),
        (module(example(module)).shape[1], along_outputs, output_ranges(weight, layer)),
    ):
        for channel in range(count):
            only = torch.zeros(count)
            only[channel] = 1
            expected = (weight * along(only, layer)).abs().max()
            assert ranges[channel] == expected
