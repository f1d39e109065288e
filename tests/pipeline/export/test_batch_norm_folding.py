"""Folding batch norms into convolutions."""

import copy

import pytest
import torch
from torch import nn

from base.errors import InputError
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.export.batch_norm_folding import fold_batch_norms
from pipeline.quantization.fake_quantizers import Scheme, prepare
from tests.pipeline.quantization.test_fake_quantizers import network


@pytest.fixture(scope="module")
def images():
    return torch.randn(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def test_folding_keeps_logits_and_does_not_change_the_original(images):
    original = network()
    before = copy.deepcopy(original.state_dict())
    folded = fold_batch_norms(original)
    torch.testing.assert_close(folded(images), original(images), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    torch.testing.assert_close(original.state_dict(), before)


def test_convolution_called_twice_keeps_its_batch_norms():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.second(self.conv(self.first(self.conv(x))))

    shared, x = Twice().eval(), torch.randn(2, 3, 8, 8)
    shared.first.running_mean.fill_(2)
    shared.second.running_var.fill_(5)
    torch.testing.assert_close(fold_batch_norms(shared)(x), shared(x))


def test_batch_norm_that_cannot_be_folded_keeps_its_statistics_in_training():
    """In a wide ResNet the first batch norm of a block follows an addition."""
    torch.manual_seed(0)
    network_ = build("wrn-16-1", ImageSpec((3, 32, 32), (0.0,) * 3, (1.0,) * 3), 10, width=0.5)
    folded, x = fold_batch_norms(network_.eval()), torch.randn(4, 3, 32, 32)
    kept = [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert kept
    before = [norm.running_mean.clone() for norm in kept]
    torch.testing.assert_close(folded.train()(x), network_(x), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(a, m.running_mean) for a, m in zip(before, kept, strict=True))
    prepared_ = prepare(network_, x, Scheme()).train()
    assert not any(m.training for m in prepared_.modules() if isinstance(m, nn.BatchNorm2d))


def test_batch_norm_without_running_statistics_is_kept():
    plain = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)).eval()
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(fold_batch_norms(plain)(x), plain(x))


def test_network_that_cannot_be_traced_is_refused():
    class BranchingOnValues(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match="cannot be traced"):
        fold_batch_norms(BranchingOnValues())
