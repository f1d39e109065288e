"""Moments of channels: closed forms against numerical integration, and their propagation."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.quantization.channel_moments import ChannelMoments, clipped_normal_mean
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.function_graph import FunctionGraph
from tests.support.network_forms import images


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, math.inf), (0.0, 6.0), (-1.0, 1.0), (-math.inf, 2.0)]
)
def test_clipped_mean_matches_numerical_integration(low, high):
    mean = torch.tensor([-3.0, -0.5, 0.0, 0.7, 4.0, 9.0], dtype=torch.float64)
    deviation = torch.tensor([1.0, 2.0, 0.3, 1.0, 2.5, 0.1], dtype=torch.float64)
    grid = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = (-grid.square() / 2).exp() / math.sqrt(2 * math.pi)
    clipped = (mean.view(-1, 1) + deviation.view(-1, 1) * grid).clamp(low, high)
    expected = torch.trapezoid(clipped * density, grid)
    found = clipped_normal_mean(mean, deviation, low, high)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_clipped_mean_of_a_constant_is_the_clipped_constant():
    mean = torch.tensor([-2.0, 0.0, 3.0, 8.0], dtype=torch.float64)
    found = clipped_normal_mean(mean, torch.zeros_like(mean), 0.0, 6.0)
    assert found.tolist() == pytest.approx([0.0, 0.0, 3.0, 6.0])


def test_unlimited_mean_is_the_mean():
    mean, deviation = torch.tensor([1.5]).double(), torch.tensor([2.0]).double()
    assert clipped_normal_mean(mean, deviation, -math.inf, math.inf).item() == 1.5


class Block(nn.Module):
    """A function of two normalised convolutions, read by a last convolution or linear layer."""

    def __init__(self, function, *, head=None):
        super().__init__()
        self.function = function
        self.a, self.b = (
            nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2, eps=0.0))
            for _ in range(2)
        )
        self.head = head or nn.Conv2d(2, 4, 1)
        with torch.no_grad():
            self.a[1].bias.copy_(torch.tensor([1.0, -2.0]))
            self.a[1].weight.copy_(torch.tensor([0.5, -3.0]))
            self.b[1].bias.copy_(torch.tensor([10.0, 20.0]))

    def forward(self, x):
        y = self.head(self.function(self.a(x), self.b(x)))
        return y if y.ndim == 2 else y.mean((2, 3))


def moments_of_head_input(function, head=None):
    root = fixed_form(Block(function, head=head).eval(), images(2))
    graph = FunctionGraph(root, images(2))
    last = next(layer for layer in graph.layers if layer.name == "head")
    edge = graph.trace.inputs[last.calls[0].output.operation][0]
    source = next(
        made for made, edges in graph.trace.readers.items() if any(e is edge for e in edges)
    )
    return ChannelMoments(root, graph).of(source)


MEAN, DEVIATION = (torch.tensor(v).double() for v in ([1.0, -2.0], [0.5, 3.0]))
RELU = clipped_normal_mean(MEAN, DEVIATION, 0.0, math.inf)


@pytest.mark.parametrize(
    ("function", "mean"),
    [
        (lambda a, b: a, MEAN),
        (lambda a, b: a.relu(), RELU),
        (lambda a, b: F.relu6(a), clipped_normal_mean(MEAN, DEVIATION, 0.0, 6.0)),
        (lambda a, b: F.avg_pool2d(a.relu(), 2), RELU),
        (lambda a, b: F.dropout(a.relu(), training=False), RELU),
        (lambda a, b: a + b, torch.tensor([11.0, 18.0]).double()),
        (lambda a, b: a.relu() + b, RELU + torch.tensor([10.0, 20.0])),
        (lambda a, b: (a + b).relu(), None),
        (lambda a, b: torch.add(a, b, alpha=2), None),
        (lambda a, b: F.max_pool2d(a.relu(), 2), None),
        (lambda a, b: F.silu(a), None),
        (lambda a, b: F.avg_pool2d(a, 3, 2, 1), None),
        (lambda a, b: F.avg_pool2d(a, 2).relu(), None),
    ],
)
def test_means_are_propagated_where_they_are_exact(function, mean):
    found = moments_of_head_input(function)
    if mean is None:
        assert found is None
    else:
        torch.testing.assert_close(found.mean, mean)


def test_flattened_channel_has_its_mean_at_every_position():
    found = moments_of_head_input(lambda a, b: F.avg_pool2d(a, 8).flatten(1), nn.Linear(8, 3))
    assert found.mean.tolist() == [1.0] * 4 + [-2.0] * 4


class NormAfterSum(nn.Module):
    """A batch norm that cannot be folded."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
        self.norm, self.head = nn.BatchNorm2d(2, eps=0.0), nn.Conv2d(2, 4, 1)
        with torch.no_grad():
            self.norm.bias.copy_(MEAN)
            self.norm.weight.copy_(DEVIATION)

    def forward(self, x):
        return self.head(self.norm(self.a(x) + self.b(x)).relu()).mean((2, 3))


def test_batch_norm_that_stays_gives_moments_too():
    root = fixed_form(NormAfterSum().eval(), images(2))
    graph = FunctionGraph(root, images(2))
    assert not root.statistics
    (relu,) = (node for node in graph.trace.nodes if node.node_type.startswith("relu"))
    (edge,) = (e for e in graph.trace.inputs[relu.node_name].values())
    moments = ChannelMoments(root, graph)
    source = next(m for m, edges in graph.trace.readers.items() if any(e is edge for e in edges))
    torch.testing.assert_close(moments.of(source).mean, MEAN)
    torch.testing.assert_close(moments.of(source).deviation, DEVIATION)


def test_statistics_of_a_folded_norm_are_those_of_its_output():
    """With the variance that the norm has stored, epsilon reduces the deviation."""
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2, eps=1.0)).eval()
    with torch.no_grad():
        network[1].running_var.copy_(torch.tensor([3.0, 0.0]))
        network[1].weight.copy_(torch.tensor([-2.0, 5.0]))
        network[1].bias.copy_(torch.tensor([7.0, 8.0]))
    found = fixed_form(network, images(2)).statistics["0"]
    assert found.mean.tolist() == [7.0, 8.0]
    torch.testing.assert_close(found.deviation, torch.tensor([2 * 0.75**0.5, 0.0]).double())
