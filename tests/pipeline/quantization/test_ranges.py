"""Ranges of activations and weights in closed form."""

import pytest
import torch

from pipeline.quantization.ranges import (
    MAX_BIAS_STEPS,
    MIN_TOP,
    activation_top,
    weight_tops,
)


@pytest.mark.parametrize(
    ("low", "high", "top"),
    [(-3.0, 2.0, 3.0), (0.0, 5.0, 5.0), (0.0, 0.0, MIN_TOP), (-1e-9, 1e-9, MIN_TOP)],
)
def test_activation_range_reaches_the_larger_extreme(low, high, top):
    assert activation_top(low, high) == top


def test_weight_range_is_the_largest_weight_of_each_channel():
    weight = torch.tensor([[1.0, -4.0], [0.5, 0.25]])
    tops = weight_tops(weight, 0, half_range=False, bias=None, input_step=0.1)
    assert tops.tolist() == [[4.0], [0.5]]
    by_input = weight_tops(weight, 1, half_range=False, bias=None, input_step=0.1)
    assert by_input.tolist() == [[1.0, 4.0]]


def test_half_range_puts_the_largest_weight_at_level_64():
    tops = weight_tops(torch.tensor([[64.0]]), 0, half_range=True, bias=None, input_step=0.1)
    assert tops.item() == pytest.approx(127.0)


def test_range_of_a_dead_channel_is_raised_until_its_bias_fits():
    weight, bias = torch.tensor([[1e-9], [1.0]]), torch.tensor([8.0, 8.0])
    tops = weight_tops(weight, 0, half_range=False, bias=bias, input_step=0.5)
    steps = bias / (0.5 * tops.flatten() / 127)
    assert steps[0] == pytest.approx(MAX_BIAS_STEPS)
    assert tops[1] == 1.0
