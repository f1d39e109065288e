"""Equalization of weight ranges: closed forms, and networks that compute the same afterwards."""

import copy

import pytest
import torch
from torch import nn

from pipeline.quantization.equalization import equalize
from pipeline.quantization.fake_quantizers import add_quantizers, describe, restore
from pipeline.quantization.scheme import Scheme
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.channel_weights import input_ranges, output_ranges
from pipeline.tracing.function_graph import FunctionGraph
from tests.support.network_forms import FORMS, form, images

FACTORS = torch.tensor([8.0, 0.25, 1.0, 1024.0, 2.0**-12, 2.0])


def chain(between=None, groups=1):
    """Return convolution, operation, convolution, average."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=groups)
    return nn.Sequential(
        first, between or nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()


def scaled_up(network, factors):
    """Return the same function with channels of the first layer multiplied by factors."""
    network = copy.deepcopy(network)
    first, second = network[0], network[2]
    with torch.no_grad():
        first.weight.mul_(factors.view(-1, 1, 1, 1))
        first.bias.mul_(factors)
        by_input = factors if second.groups == 1 else factors.view(-1, 1)
        shape = (1, -1, 1, 1) if second.groups == 1 else (-1, 1, 1, 1)
        second.weight.div_(by_input.view(shape))
    return network


def equalized(network):
    root = fixed_form(network, images(2))
    return root, equalize(root, images(2))


def parameters(root):
    return dict(root.named_parameters())


@pytest.mark.parametrize("groups", [1, 6])
def test_channels_scaled_by_powers_of_two_come_back_bit_exactly(groups):
    network = chain(groups=groups)
    plain, scaled = equalized(network)[0], equalized(scaled_up(network, FACTORS))[0]
    torch.testing.assert_close(parameters(scaled), parameters(plain), rtol=0, atol=0)


def test_channels_scaled_by_any_factor_come_back():
    network = chain()
    factors = torch.tensor([3.0, 0.7, 1.0, 11.1, 0.013, 5.0])
    plain, scaled = equalized(network)[0], equalized(scaled_up(network, factors))[0]
    torch.testing.assert_close(parameters(scaled), parameters(plain), rtol=1e-5, atol=0)


@pytest.mark.parametrize("groups", [1, 6])
def test_ranges_of_both_weights_become_their_geometric_mean(groups):
    network = scaled_up(chain(groups=groups), FACTORS)
    root = fixed_form(network, images(2))
    first, second = FunctionGraph(root, images(2)).layers
    made, read = output_ranges(network[0].weight, first), input_ranges(network[2].weight, second)
    assert equalize(root, images(2)) == 1
    expected = (made * read).sqrt()
    torch.testing.assert_close(output_ranges(root.network[0].weight, first), expected)
    torch.testing.assert_close(input_ranges(root.network[2].weight, second), expected)


def test_long_chain_converges_to_equal_ranges_of_every_pair():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 5, 1), nn.ReLU(), nn.Conv2d(5, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 1)]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        network[2].weight[1] *= 100
    root, pairs = equalized(network)
    assert pairs == 3
    found = FunctionGraph(root, images(2)).layers
    weights = [root.get_tensor(layer.weight) for layer in found]
    for index in range(3):
        made = output_ranges(weights[index], found[index])
        read = input_ranges(weights[index + 1], found[index + 1])
        torch.testing.assert_close(made, read, rtol=5e-3, atol=0)


def test_flattened_channel_has_one_scale_for_all_positions():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 196, 5))
    with torch.no_grad():
        network[0].weight[2] *= 50
    root, pairs = equalized(network)
    assert pairs == 1
    torch.testing.assert_close(root(images(4)), network(images(4)), rtol=1e-4, atol=1e-5)
    made = root.network[0].weight.abs().flatten(1).amax(1)
    read = root.network[3].weight.view(5, 4, 196).abs().amax((0, 2))
    torch.testing.assert_close(made, read)


def test_channel_without_weights_keeps_its_scale():
    network = chain()
    with torch.no_grad():
        network[0].weight[1] = 0
        network[2].weight[:, 2] = 0
    root, _ = equalized(network)
    assert torch.equal(root.network[0].bias[1:3], network[0].bias[1:3])
    assert torch.equal(root.network[2].weight[:, 1:3], network[2].weight[:, 1:3])


@pytest.mark.parametrize("name", FORMS)
def test_every_form_computes_the_same_logits(name):
    network, x = form(name), images(8)
    root = fixed_form(network, x[:2])
    equalize(root, x[:2])
    torch.testing.assert_close(root(x), network(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("between", [nn.SiLU(), nn.Hardswish(), nn.Sigmoid()])
def test_nothing_is_scaled_through_other_activations(between):
    network = chain(between)
    root, pairs = equalized(network)
    assert pairs == 0
    assert torch.equal(root.network[0].weight, network[0].weight)


def with_relu6():
    """Return convolution, batch norm, ReLU6, convolution with known statistics of each channel."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6, eps=0.0)
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([1.0, 3.0, 0.0, -1.0, 5.0, 2.0]))
        norm.weight.copy_(torch.tensor([0.5, 1.0, -1.0, 0.25, 0.5, 0.25]))
    layers = [nn.Conv2d(3, 6, 3), norm, nn.ReLU6(), nn.Conv2d(6, 6, 3)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


UPPER = torch.tensor([3.0, 7.0, 4.0, 0.0, 7.0, 3.0])
"""Mean + 4 standard deviations of each channel of `with_relu6`."""


def test_relu6_channels_are_scaled_only_within_their_bound():
    network = with_relu6()
    with torch.no_grad():
        network[3].weight[:, 0] *= 1e4  # The best scale would raise the channel far above 6.
        network[3].weight[:, 5] *= 1e-4
    before = fixed_form(network, images(2))
    root, pairs = equalized(network)
    assert pairs == 1
    scales = (before.network[0].bias / root.network[0].bias).detach()
    assert torch.equal(scales[[1, 4]], torch.ones(2))
    assert float(scales[0]) == pytest.approx(3.0 / 6.0)
    assert scales[5] > 2
    statistics = root.statistics["0"]
    upper = statistics.mean + 4 * statistics.deviation
    torch.testing.assert_close(upper.float(), UPPER / scales, rtol=1e-5, atol=1e-6)
    assert (upper[[0, 2, 3, 5]] <= 6 + 1e-9).all()


def test_relu6_network_computes_the_same_on_inputs_within_the_bound():
    network = with_relu6()
    root, _ = equalized(network)
    x = 0.1 * images(16)
    seen = network[:2](x)
    assert (seen.amax((0, 2, 3)) < UPPER.clamp_min(3))[UPPER < 6].all()
    torch.testing.assert_close(root(x), network(x), rtol=1e-4, atol=1e-5)


def test_relu6_without_statistics_is_not_scaled_through():
    network = chain(nn.ReLU6())
    root, pairs = equalized(network)
    assert pairs == 1
    assert torch.equal(root.network[0].weight, network[0].weight)


def test_equalized_network_is_restored_from_the_float_network_and_its_state():
    network, x = form("squeeze-excite"), images(64)
    root = fixed_form(network, x[:2])
    equalize(root, x[:2])
    add_quantizers(root, x, Scheme())
    restored = restore(network, x[:2], describe(root), root.state_dict())
    torch.testing.assert_close(restored(x), root.eval()(x), rtol=0, atol=0)


def test_inverted_residual_with_relu6_stays_within_the_bound_after_all_sweeps():
    """Expansion, depthwise convolution and projection, as in MobileNetV2."""
    torch.manual_seed(0)
    channels, network = 12, nn.Sequential()
    for layer in (nn.Conv2d(3, channels, 1), nn.Conv2d(channels, channels, 3, groups=channels)):
        norm = nn.BatchNorm2d(channels, eps=0.0)
        nn.init.uniform_(norm.weight, 0.05, 2.5)
        nn.init.normal_(norm.bias)
        network.extend([layer, norm, nn.ReLU6()])
    network.extend([nn.Conv2d(channels, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()])
    before = fixed_form(network.eval(), images(2))
    root, pairs = equalized(network)
    assert pairs == 2
    for name in ("0", "3"):
        old, new = before.statistics[name], root.statistics[name]
        bounded = old.mean + 4 * old.deviation < 6
        assert 0 < bounded.sum() < channels
        assert (new.mean + 4 * new.deviation)[bounded].max() < 6 + 1e-9
        torch.testing.assert_close(new.mean[~bounded], old.mean[~bounded], rtol=0, atol=0)
        assert not torch.allclose(new.mean[bounded], old.mean[bounded])
    x = 1e-3 * images(8)  # All values stay near their means, within the bounds.
    torch.testing.assert_close(root(x), network(x), rtol=1e-4, atol=1e-5)
