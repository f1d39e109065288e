"""Folding batch norms into the layers before them."""

import copy

import pytest
import torch
from torch import nn

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.quantization.fake_quantizers import prepare
from pipeline.quantization.scheme import Scheme
from pipeline.tracing.batch_norm_folding import fixed_form
from tests.support.network_forms import form, images


def test_folded_weights_have_the_closed_form():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, eps=0.0)).eval()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([3.0, 5.0]).view(2, 1, 1, 1))
        network[0].bias.copy_(torch.tensor([1.0, 2.0]))
        network[1].running_mean.copy_(torch.tensor([2.0, 4.0]))
        network[1].running_var.copy_(torch.tensor([4.0, 16.0]))
        network[1].weight.copy_(torch.tensor([2.0, 8.0]))
        network[1].bias.copy_(torch.tensor([7.0, 9.0]))
    folded = fixed_form(network, torch.zeros(1, 1, 2, 2)).network[0]
    assert folded.weight.flatten().tolist() == [3.0, 10.0]  # weight * gain / deviation
    assert folded.bias.tolist() == [6.0, 5.0]  # (bias - mean) * gain / deviation + shift


def test_original_network_is_not_changed():
    original = form("concatenated")
    before = copy.deepcopy(original.state_dict())
    fixed_form(original, images(2))
    torch.testing.assert_close(original.state_dict(), before)
    assert original.a[0].bias is None


def test_layer_without_a_batch_norm_keeps_no_bias():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Flatten(), nn.Linear(4 * 14**2, 10))
    assert fixed_form(network, images(2)).network[0].bias is None


def test_kept_batch_norm_uses_its_statistics_in_training():
    """In a wide ResNet the first batch norm of a block follows an addition."""
    torch.manual_seed(0)
    network = build("wrn-16-1", ImageSpec((3, 32, 32), (0.0,) * 3, (1.0,) * 3), 10, width=0.5)
    x = torch.randn(4, 3, 32, 32)
    folded = fixed_form(network.eval(), x)
    buffers = {name: value.clone() for name, value in folded.named_buffers()}
    assert 0 < len(folded.folded) < sum(name.endswith("running_mean") for name in buffers)
    torch.testing.assert_close(folded.train()(x), network(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(dict(folded.named_buffers()), buffers)
    prepared = prepare(network, x, Scheme()).train()
    assert not any(m.training for m in prepared.modules() if isinstance(m, nn.BatchNorm2d))


def test_batch_norm_without_stored_statistics_is_refused_by_name():
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False))
    with pytest.raises(InputError, match=r"batch norm 1 stores no .*track_running_stats=True"):
        fixed_form(network, images(2))


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.dark, self.light = nn.Linear(3, 10), nn.Linear(3, 10)

    def forward(self, x):
        layer = self.dark if x.mean() < 0 else self.light
        return layer(x.mean((2, 3)))


def test_layer_that_the_trace_has_not_seen_stops_the_run_by_name():
    root = fixed_form(Branching(), images(2) - 100)
    root(images(2) - 50)
    with pytest.raises(InputError, match=r"light\.weight is called 1 times .*but 0 times"):
        root(images(2) + 100)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.second(self.conv(self.first(self.conv(x))))


def test_convolution_called_twice_keeps_its_batch_norms():
    shared, x = Twice().eval(), torch.randn(2, 3, 8, 8)
    shared.first.running_mean.fill_(2)
    shared.second.running_var.fill_(5)
    root = fixed_form(shared, x)
    assert not root.folded
    torch.testing.assert_close(root(x), shared(x))
