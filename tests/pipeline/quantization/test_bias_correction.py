"""Bias correction against closed forms."""

import copy

import pytest
import torch
from torch import nn

from pipeline.quantization.bias_correction import correct_biases
from pipeline.quantization.fake_quantizers import add_quantizers, prepare, quantizers
from pipeline.quantization.scheme import Scheme
from pipeline.tracing.batch_norm_folding import fixed_form
from tests.support.network_forms import FORMS, form, images

FOUR_BITS = Scheme(weight_bits=4)


def normed(*layers, constant=False):
    """Return convolution, batch norm with a known output, then the layers."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, eps=0.0)
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([1.0, -2.0, 3.0, 0.5]))
        norm.weight.fill_(0.0 if constant else 1.0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm, *layers).eval()


def means(network, x):
    """Return the mean of each output channel."""
    with torch.no_grad():
        found = network(x)
    return found.mean([0, *range(2, found.ndim)])


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(4, 6, 3)],
        [nn.ReLU(), nn.Conv2d(4, 6, 3)],
        [nn.ReLU6(), nn.Conv2d(4, 4, 3, groups=4)],
        [nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2)],
        [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)],
        [nn.ReLU(), nn.Flatten(), nn.Linear(4 * 196, 6)],
    ],
)
def test_correction_is_exact_for_a_constant_input(layers):
    """Without deviation, the input equals its expected value at every position."""
    network, x = normed(*layers, constant=True), images(8)
    prepared = prepare(network, x, FOUR_BITS).eval()
    for _, quantizer in quantizers(prepared):
        if not quantizer.per_channel:
            quantizer.disable_quantization()
    wanted = means(network, x)
    assert (means(prepared, x) - wanted).abs().max() > 1e-3
    assert correct_biases(prepared, x[:2]) == 1
    torch.testing.assert_close(means(prepared, x), wanted, rtol=1e-4, atol=1e-4)


def test_correction_is_the_weight_error_times_the_expected_input():
    network, x = normed(nn.Conv2d(4, 6, 3)), images(8)
    prepared = prepare(network, x, FOUR_BITS).eval()
    before = prepared.network[2].bias.detach().clone()
    quantizer = next(
        q for name, q in quantizers(prepared) if q.per_channel and "network/2/" in name
    )
    weight = prepared.network[2].weight
    error = (quantizer(weight) - weight).sum((2, 3))
    correct_biases(prepared, x[:2])
    expected = before - error @ torch.tensor([1.0, -2.0, 3.0, 0.5])
    torch.testing.assert_close(prepared.network[2].bias, expected)


def test_correction_reduces_the_shift_of_means_behind_normally_distributed_inputs():
    network = normed(nn.ReLU(), nn.Conv2d(4, 16, 3))
    x = torch.randn(256, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # Make the statistics those of the images.
        made = network[0](x)
        network[1].running_mean.copy_(made.mean((0, 2, 3)))
        network[1].running_var.copy_(made.var((0, 2, 3)))
    prepared = prepare(network, x[:64], Scheme(weight_bits=3)).eval()
    corrected = copy.deepcopy(prepared)
    assert correct_biases(corrected, x[:2]) == 1
    wanted = means(network, x)
    before, after = ((means(n, x) - wanted).abs().mean() for n in (prepared, corrected))
    assert after < 0.3 * before


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(4, 6, 3, bias=False)],
        [nn.SiLU(), nn.Conv2d(4, 6, 3)],
        [nn.MaxPool2d(2), nn.Conv2d(4, 6, 3)],
        [nn.ConvTranspose2d(4, 6, 3)],
    ],
)
def test_layers_without_bias_or_known_input_are_left_alone(layers):
    prepared = prepare(normed(*layers), images(8), FOUR_BITS)
    before = copy.deepcopy(prepared.state_dict())
    assert correct_biases(prepared, images(2)) == 0
    torch.testing.assert_close(prepared.state_dict(), before, rtol=0, atol=0)


def test_float_layers_are_left_alone():
    network = normed(nn.ReLU(), nn.Conv2d(4, 6, 3))
    scheme = Scheme(weight_bits=4, float_layers=("2", "3"))
    assert correct_biases(prepare(network, images(8), scheme), images(2)) == 0


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_accepted_and_only_biases_change(name):
    x = images(8)
    root = fixed_form(form(name), x[:2])
    add_quantizers(root, x, FOUR_BITS)
    before = copy.deepcopy(root.state_dict())
    correct_biases(root, x[:2])
    changed = {n for n, t in root.state_dict().items() if not torch.equal(t, before[n])}
    assert all(name.endswith("bias") for name in changed)
