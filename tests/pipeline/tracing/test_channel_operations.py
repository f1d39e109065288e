"""What each operation does to channels, and which layers a path of operations joins."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.channel_operations import ChannelOperation, channel_operation
from pipeline.tracing.channel_paths import channel_paths
from pipeline.tracing.function_graph import FunctionGraph
from tests.support.network_forms import form, images


class Between(nn.Module):
    """Applies a function between two convolutions, or a convolution and a linear layer."""

    def __init__(self, function, features=None):
        super().__init__()
        self.function = function
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Linear(features, 5) if features else nn.Conv2d(4, 5, 1)

    def forward(self, x):
        y = self.second(self.function(self.first(x)))
        return y if y.ndim == 2 else y.mean((2, 3))


def graph_of(network):
    root = fixed_form(network, images(2))
    return root, FunctionGraph(root, images(2))


def operation_between(function, features=None):
    _, graph = graph_of(Between(function, features))
    first = graph.layers[0].calls[0].output
    edge = graph.trace.readers[first][-1]  # Others read only the size.
    return channel_operation(graph.trace, edge.to_node.node_name)


RELU = ChannelOperation("clips", low=0.0)
RELU6 = ChannelOperation("clips", low=0.0, high=6.0)
SCALES, AVERAGES, MOVES = (ChannelOperation(kind) for kind in ("scales", "averages", "moves"))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (F.relu, RELU),
        (nn.ReLU(inplace=True), RELU),
        (torch.relu, RELU),
        (lambda x: x.relu_(), RELU),
        (nn.ReLU6(), RELU6),
        (nn.ReLU6(inplace=True), RELU6),
        (nn.Hardtanh(0, 6), RELU6),
        (nn.Hardtanh(), ChannelOperation("clips", low=-1.0, high=1.0)),
        (lambda x: x.clamp(0, 6), RELU6),
        (lambda x: torch.clamp(x, min=0.0), RELU),
        (lambda x: x.clamp(max=2), ChannelOperation("clips", high=2.0)),
        (lambda x: x.clamp(max=torch.tensor(2.0)), None),
        (nn.LeakyReLU(0.1), SCALES),
        (nn.MaxPool2d(2), SCALES),
        (nn.AdaptiveMaxPool2d(3), SCALES),
        (nn.AvgPool2d(2), AVERAGES),
        (nn.AvgPool2d(3, 2, padding=1), SCALES),
        (nn.AvgPool2d(3, 2, ceil_mode=True), SCALES),
        (nn.AdaptiveAvgPool2d(1), AVERAGES),
        (nn.AdaptiveAvgPool2d(7), AVERAGES),
        (lambda x: x.mean((2, 3), keepdim=True), AVERAGES),
        (lambda x: x.mean(-1, keepdim=True), AVERAGES),
        (lambda x: x.mean(1, keepdim=True).expand(-1, 4, -1, -1), None),
        (nn.ZeroPad2d(1), SCALES),
        (lambda x: F.pad(x, (1, 1, 1, 1)), SCALES),
        (lambda x: F.pad(x, (1, 1, 1, 1), "reflect"), SCALES),
        (lambda x: F.pad(x, (1, 1, 1, 1), value=1.0), None),
        (lambda x: F.pad(x, (0, 0, 0, 0, 1, -1)), None),
        (nn.Dropout(), MOVES),
        (lambda x: x.contiguous(), MOVES),
        (nn.SiLU(), None),
        (nn.Hardswish(), None),
        (nn.GELU(), None),
        (nn.Sigmoid(), None),
        (lambda x: x.flip(1), None),
        (lambda x: x.transpose(2, 3), None),
    ],
)
def test_operation_is_recognised(function, expected):
    assert operation_between(function) == expected


@pytest.mark.parametrize(
    ("function", "features", "repeats"),
    [
        (lambda x: x.flatten(1), 4 * 14 * 14, 14 * 14),
        (lambda x: x.reshape(len(x), -1), 4 * 14 * 14, 14 * 14),
        (lambda x: x.view(x.size(0), 4, 196).mean(2), 4, 1),
    ],
)
def test_flattened_positions_repeat_channels(function, features, repeats):
    assert operation_between(function, features) == ChannelOperation("moves", repeats=repeats)


@pytest.mark.parametrize(
    ("function", "bound"),
    [
        (nn.ReLU(), math.inf),
        (nn.ReLU6(), 6.0),
        (nn.SiLU(), None),
        (nn.Hardswish(), None),
        (nn.Hardtanh(), None),
        (lambda x: x.reshape(len(x), *x.shape[1:]).relu(), math.inf),
    ],
)
def test_path_joins_layers_through_operations_that_commute(function, bound):
    root, graph = graph_of(Between(function))
    found = [(p.first.name, p.second.name, p.repeats, p.bound) for p in channel_paths(root, graph)]
    assert found == ([("first", "second", 1, bound)] if bound else [])


PATHS = {
    "batch-sizes": [("stem.0", "head")],
    "sequential": [("0", "5")],
    "module-list": [("blocks.0.0", "blocks.1.0"), ("blocks.1.0", "heads.main")],
    "subclassed": [("conv", "head")],
    "functional": [("kernel", "matrix")],
    "reused": [],  # The convolution is called three times.
    "tied": [],  # One convolution with two names is called twice.
    "attention": [],
    "squeeze-excite": [("stem.0", "depthwise.0"), ("squeeze", "excite")],
    "concatenated": [],
    "transposed": [("stem.0", "up"), ("up", "head")],
    "norm-after-linear": [],
    "weight-normalised": [("0", "2"), ("2", "4"), ("4", "8")],
    "computed-weights": [],
    "odd-pools": [],  # A matrix product computes the odd pool.
}


@pytest.mark.parametrize("name", PATHS)
def test_paths_of_every_form(name):
    root, graph = graph_of(form(name))
    assert [(p.first.name, p.second.name) for p in channel_paths(root, graph)] == PATHS[name]


class SharedParameters(nn.Module):
    """Another operation reads the first weight, or both layers share one bias."""

    def __init__(self, shared):
        super().__init__()
        self.shared = shared
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        if shared == "bias":
            self.second.bias = self.first.bias

    def forward(self, x):
        y = self.second(self.first(x).relu()).mean((2, 3))
        return y + self.first.weight.sum() if self.shared == "weight" else y


@pytest.mark.parametrize("shared", ["weight", "bias", "nothing"])
def test_layers_with_shared_parameters_are_left_alone(shared):
    paths = channel_paths(*graph_of(SharedParameters(shared)))
    assert len(paths) == (1 if shared == "nothing" else 0)


class ReadTwice(nn.Module):
    """The first layer's output is also added to the second's."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = self.first(x).relu()
        return (y + self.second(y)).mean((2, 3))


def test_branches_are_left_alone():
    assert channel_paths(*graph_of(ReadTwice())) == []
