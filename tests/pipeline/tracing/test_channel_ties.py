"""Which channels of weights belong together."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.tracing.channel_ties import channel_ties
from pipeline.tracing.output_norms import output_norms

IMAGES = torch.zeros(2, 3, 8, 8)


class Between(nn.Module):
    """Applies a function between a convolution with 4 outputs and another layer."""

    def __init__(self, function, inputs=4):
        super().__init__()
        self.function = function
        self.first, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.second = nn.Conv2d(inputs, 5, 1)

    def forward(self, images):
        return self.second(self.function(self.norm(self.first(images)))).mean((2, 3))


def read_channels(function, inputs=4):
    """Return which of the first layer's channels each input of the second is, or None if free.

    Also return whether the first layer's channels are fixed.
    """
    ties = channel_ties(Between(function, inputs), IMAGES)
    made = ties.axes["first.weight"][0].tolist()
    assert ties.axes["first.bias"][0].tolist() == made
    assert ties.axes["norm.running_var"][0].tolist() == made
    assert ties.output_axes == {"first.weight": 0, "second.weight": 0}
    read = ties.axes["second.weight"][1].tolist()
    fixed = ties.is_fixed[made]
    assert fixed.all() == fixed.any()
    return [made.index(x) if x in made else None for x in read], bool(fixed.all())


@pytest.mark.parametrize(
    "function",
    [
        F.relu,
        F.silu,
        F.gelu,
        F.hardswish,
        nn.Hardsigmoid(),
        lambda x: F.leaky_relu(x, 0.1),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2, padding=1),
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: F.pad(x, (1, 1)),
        lambda x: x[:, :, ::2],
        lambda x: 2 * x + 1,
        lambda x: x + x,
        lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    ],
)
def test_channels_keep_their_position(function):
    assert read_channels(function) == ([0, 1, 2, 3], False)


@pytest.mark.parametrize(
    ("function", "read"),
    [
        (lambda x: torch.cat([x, x], 1), [0, 1, 2, 3, 0, 1, 2, 3]),
        (lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)), [None, 0, 1, 2, 3, None, None]),
        (lambda x: x[:, 1:3], [1, 2]),
        (lambda x: torch.cat([x[:, 2:], x[:, :1]], 1), [2, 3, 0]),
    ],
)
def test_channels_move_to_other_positions(function, read):
    assert read_channels(function, len(read)) == (read, False)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.flip(1),
        lambda x: x.softmax(1),
        lambda x: F.channel_shuffle(x, 2),
        lambda x: F.layer_norm(x, x.shape[1:]),
        lambda x: x[:, [3, 2, 1, 0]],
        lambda x: x + x.transpose(2, 3).flip(1),
        lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2),
    ],
)
def test_channels_behind_other_functions_are_fixed(function):
    assert read_channels(function) == ([None] * 4, True)


def test_sum_ties_the_channels_of_its_terms():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, images):
            x = self.first(images)
            return (x + self.second(x)).mean((2, 3))

    axes = channel_ties(Residual(), IMAGES).axes
    first = axes["first.weight"][0].tolist()
    assert [axis.tolist() for axis in axes["second.weight"][:2]] == [first, first]


def test_depthwise_outputs_are_tied_to_their_inputs_and_grouped_channels_are_fixed():
    def ties(groups, outputs):
        layers = nn.Conv2d(3, 4, 1), nn.Conv2d(4, outputs, 1, groups=groups)
        return channel_ties(nn.Sequential(*layers), IMAGES)

    found = ties(4, 8).axes
    assert found["1.weight"][0].tolist() == found["0.weight"][0].repeat(2).tolist()
    assert ties(2, 4).is_fixed[ties(2, 4).axes["0.weight"][0]].all()


def test_flattening_repeats_channels_for_each_position():
    network = nn.Sequential(nn.Conv2d(3, 2, 4, 4), nn.Flatten(), nn.Linear(8, 5))
    found = channel_ties(network, IMAGES)
    first, second = found.axes["0.weight"][0].tolist()
    assert found.axes["2.weight"][1].tolist() == [first] * 4 + [second] * 4
    assert not found.is_fixed[first]
    assert found.is_fixed[found.axes["2.weight"][0]].all(), "logits keep their positions"
    assert found.is_fixed[found.axes["0.weight"][1]].all(), "image channels keep their positions"


def test_norms_of_convolutions_linear_layers_and_transposed_convolutions():
    network = nn.Sequential(
        nn.Conv2d(3, 1, 1), nn.ConvTranspose2d(1, 2, 1), nn.Flatten(), nn.Linear(128, 1)
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([1.0, 2.0, -2.0]).view(1, 3, 1, 1))
        network[1].weight.copy_(torch.tensor([3.0, -4.0]).view(1, 2, 1, 1))
        network[3].weight.fill_(0.5)
    norms = {name: norm.tolist() for name, norm in output_norms(network, IMAGES).items()}
    assert norms["0.weight"] == [3.0]
    assert norms["1.weight"] == [3.0, 4.0]
    assert norms["3.weight"] == pytest.approx([0.5 * 128**0.5])
