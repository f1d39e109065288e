"""Einsum as matrix products: equal to torch's, and traced as layers."""

import pytest
import torch
from torch import nn

from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.tensor_contraction import einsum, parse

SIZES = {"A": 3, "B": 4, "C": 2, "a": 2, "b": 3, "c": 4, "d": 5, "i": 2, "j": 3, "k": 4}

EQUATIONS = [
    "ab,bc->ac",
    "ab,cb->ca",
    "ba,bc",
    "abc,acd->abd",
    "abc,adc->adb",
    "abcd,bk->akcd",
    "kb,abcd->akcd",
    "ab,a->ab",
    "ab,ab->",
    "ab,cd->abcd",
    "abc,bd->ad",
    "ab,ab->ba",
    "...ab,...bc->...ac",
    "...a,ab->...b",
    "ab,bc,cd->ad",
    "ai,aj,kij->ak",
    "a,ab->b",
    "ab , bc -> ac",
    "A B, B C -> A C",
    "Ba,aB",
]


def operands(equation):
    torch.manual_seed(0)
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    leading = [(3, 2) if "..." in term else () for term in terms]
    named = [[SIZES[name] for name in term.strip(".")] for term in terms]
    return [torch.randn(*first, *last) for first, last in zip(leading, named, strict=True)]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_contraction_equals_torchs(equation):
    tensors = operands(equation)
    parsed = parse(equation, [tensor.ndim for tensor in tensors])
    assert parsed is not None
    expected = torch.einsum(equation, *tensors)
    actual = einsum(*parsed, tensors)
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected)


def test_hidden_axes_of_different_number_and_size_one_are_repeated():
    first, second = torch.randn(3, 1, 2, 4), torch.randn(5, 4, 3)
    parsed = parse("...ab,...bc->...ac", [4, 3])
    assert parsed is not None
    expected = torch.einsum("...ab,...bc->...ac", first, second)
    torch.testing.assert_close(einsum(*parsed, [first, second]), expected)


@pytest.mark.parametrize("equation", ["aa,ab->b", "ab,bc,cd->ad", "a1,1c->ac", "abc,bc->a"])
def test_equation_that_cannot_be_written_as_products_is_left(equation):
    assert parse(equation, [2, 2]) is None


class Weighted(nn.Module):
    def __init__(self, equation):
        super().__init__()
        self.weight, self.equation = nn.Parameter(torch.randn(8, 3)), equation

    def forward(self, x):
        tensors = (self.weight, x) if self.equation.startswith("oc") else (x, self.weight)
        return torch.einsum(self.equation, *tensors).mean((2, 3))


@pytest.mark.parametrize("equation", ["bchw,oc->bohw", "oc,bchw->bohw"])
def test_einsum_with_a_weight_is_a_layer(equation):
    """4 x 5 positions, 3 input channels and 8 output channels."""
    network, images = Weighted(equation), torch.randn(2, 3, 4, 5)
    root = fixed_form(network, images)
    torch.testing.assert_close(root(images), network(images))
    (layer,) = FunctionGraph(root, images).layers
    assert (layer.name, layer.multiply_adds) == ("weight", 4 * 5 * 3 * 8)
    assert layer.weight_shape is not None
    assert layer.weight_shape[layer.channel_axis] == 8


def test_einsum_of_activations_is_a_product():
    class Attention(nn.Module):
        def forward(self, x):
            return torch.einsum("bci,bcj->bij", x.flatten(2), x.flatten(2)).mean(2)

    network, images = Attention(), torch.randn(2, 3, 2, 2)
    root = fixed_form(network, images)
    torch.testing.assert_close(root(images), network(images))
    (layer,) = FunctionGraph(root, images).layers
    assert layer.is_product
    assert layer.multiply_adds == 4 * 4 * 3
