"""The data type and the memory layout of a network in training."""

import pytest
import torch
from torch import nn

from dfkd.models.precision import fast_layout, gains_from_bfloat16

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
    assert gains_from_bfloat16(nn.Sequential(nn.Identity(), layer)) is gains


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
