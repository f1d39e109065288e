"""The data type and the memory layout of a network in training."""

import pytest
import torch
from torch import nn

from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.models.precision import fast_layout, gains_from_bfloat16, multiply_adds

DEPTHWISE = nn.Conv2d(4, 8, 3, groups=4)


@pytest.mark.parametrize(
    ("layer", "gains"),
    [
        (nn.Conv2d(4, 4, 3), True),
        (nn.Conv2d(1, 4, 3, groups=1), True),
        (nn.Conv2d(4, 4, 3, groups=2), True),
        (DEPTHWISE, False),
        (nn.LayerNorm(4), False),
    ],
)
def test_depthwise_convolutions_and_layer_norms_stay_in_float32(layer, gains):
    network = nn.Sequential(nn.Identity(), layer)
    # So large that the smallest layer has two million multiply-adds.
    channels = 1 if getattr(layer, "in_channels", 4) == 1 else 4
    images = torch.zeros(1, channels, 1_000, 4 if isinstance(layer, nn.LayerNorm) else 1_000)
    assert gains_from_bfloat16(network, images) is gains


@pytest.mark.parametrize(
    ("name", "channels", "gains"), [("lenet5-bn", 1, False), ("resnet8", 3, True)]
)
def test_small_networks_stay_in_float32(name, channels, gains):
    spec = ImageSpec((channels, 32, 32), (0.5,) * channels, (0.25,) * channels)
    network = build(name, spec, 10).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    assert gains_from_bfloat16(network, torch.rand(2, *spec.shape)) is gains
    torch.testing.assert_close(network.state_dict(), before)
    assert network.training


def test_multiply_adds_are_those_of_one_image():
    network = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.Flatten(), nn.Linear(8 * 36, 10))
    expected = 8 * 6 * 6 * 2 * 9 + 8 * 36 * 10
    assert multiply_adds(network, torch.zeros(5, 4, 8, 8)) == expected


@pytest.mark.parametrize(
    ("layer", "precision", "layout"),
    [
        (nn.Conv2d(4, 4, 3), torch.float32, torch.contiguous_format),
        (nn.Conv2d(4, 4, 3), torch.bfloat16, torch.channels_last),
        (DEPTHWISE, torch.float32, torch.channels_last),
        (DEPTHWISE, torch.bfloat16, torch.channels_last),
    ],
)
def test_layout_follows_from_precision_and_depthwise_convolutions(layer, precision, layout):
    assert fast_layout(nn.Sequential(layer), precision) == layout
