"""The fake-quantizers' values and gradients are those of NNCF's formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nncf.torch.quantization import quantize_functions
from nncf.torch.quantization.reference import (
    ReferenceBackendType,
    ReferenceQuantize,
    torch_executor,
)

from pipeline.quantization import quantizer_kernels
from pipeline.quantization.fake_quantizers import describe, prepare, restore
from pipeline.quantization.quantizer_kernels import TorchKernels, gradients, quantize
from pipeline.quantization.scheme import Scheme
from tests.pipeline.quantization.test_fake_quantizers import network

FORMULAS = ReferenceQuantize(ReferenceBackendType.NUMPY)
"""NNCF's formulas, here in float64."""


class Reference:
    """NNCF's formulas with the interface of its extensions."""

    @staticmethod
    def get(name):
        return {
            "Quantize_forward": torch_executor.forward,
            "Quantize_backward": torch_executor.backward,
        }[name]


@pytest.fixture(scope="module")
def images():
    return torch.randn(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def gradient_of(values, upstream=None):
    """Return the gradients of values and scale for the range -2 to 1 with the levels -2 to 1."""
    upstream = torch.ones_like(values) if upstream is None else upstream
    low, width = torch.tensor([-2.0]), torch.tensor([3.0])
    of_values, _, of_scale = gradients(upstream, values, low, width, 4, -2, 1)
    return of_values, of_scale


def test_values_are_clipped_and_rounded_half_to_even():
    values = torch.tensor([-9.0, -2.0, -1.5, -0.5, 0.5, 0.6, 1.0, 1.4, 9.0])
    rounded = quantize(values, torch.tensor([-2.0]), torch.tensor([3.0]), 4)
    assert rounded.tolist() == [-2, -2, -2, 0, 0, 1, 1, 1, 1]


def test_both_ends_are_inside_of_the_range():
    above = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)).item()
    below = torch.nextafter(torch.tensor(-2.0), torch.tensor(-3.0)).item()
    of_values, _ = gradient_of(torch.tensor([below, -2.0, 0.0, 1.0, above]), torch.arange(1.0, 6))
    assert of_values.tolist() == [0, 2, 3, 4, 0]


@pytest.mark.parametrize(("value", "expected"), [(5.0, 1), (-5.0, -2), (0.75, 0.25 / 3), (1.0, 0)])
def test_gradient_of_the_scale(value, expected):
    _, of_scale = gradient_of(torch.tensor([value]))
    assert of_scale.shape == (1,)
    assert of_scale.item() == pytest.approx(expected)


@st.composite
def cases(draw):
    """Return upstream gradients, values between the rounding limits, scales, and the levels."""
    bits, signed, narrow = draw(st.integers(2, 8)), draw(st.booleans()), draw(st.booleans())
    lowest = -(2 ** (bits - 1)) + narrow if signed else 0
    highest = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    shape = draw(st.sampled_from([(1,), (4, 1, 1), (1, 3, 1)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scales = 10 ** rng.uniform(-3, 3, shape)
    steps = rng.integers(lowest - 3, highest + 4, (4, 3, 5)) + rng.uniform(-0.4, 0.4, (4, 3, 5))
    return rng.normal(size=(4, 3, 5)), steps * scales / highest, scales, lowest, highest


@given(cases())
def test_values_and_gradients_are_those_of_nncf_formulas(case):
    upstream, values, scales, lowest, highest = case
    low, levels = scales * lowest / highest, highest - lowest + 1
    exact = FORMULAS.forward(values, low, scales - low, levels)
    expected = FORMULAS.backward(upstream, values, low, scales - low, levels, lowest, highest)
    upstream, values, low, width = (
        torch.tensor(array, dtype=torch.float32) for array in (upstream, values, low, scales - low)
    )
    actual = gradients(upstream, values, low, width, levels, lowest, highest, False)
    step = scales.max() / highest
    torch.testing.assert_close(
        quantize(values, low, width, levels).double(),
        torch.tensor(exact),
        atol=step / 1e4,
        rtol=1e-5,
    )
    torch.testing.assert_close(actual[0].double(), torch.tensor(expected[0]))
    of_scale = torch.tensor(expected[2]).reshape(scales.shape)
    torch.testing.assert_close(actual[2].double(), of_scale, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("part", [1, 100, 10**6])
def test_parts_and_memory_layout_do_not_change_the_result(monkeypatch, part):
    torch.manual_seed(0)
    values, upstream = torch.randn(2, 7, 3, 4, 4)
    low, width = torch.tensor([-1.0]), torch.tensor([255 / 128])
    expected = quantize(values, low, width, 256), gradients(upstream, values, low, width, 256)
    monkeypatch.setattr(quantizer_kernels, "PART", part)
    values = values.contiguous(memory_format=torch.channels_last)
    assert torch.equal(quantize(values, low, width, 256), expected[0])
    of_values, _, of_scale = gradients(upstream, values, low, width, 256)
    assert torch.equal(of_values, expected[1][0])
    torch.testing.assert_close(of_scale, expected[1][2])


@pytest.mark.parametrize("bits", [4, 8])
def test_network_has_the_gradients_of_nncf_formulas(images, monkeypatch, bits):
    prepared = prepare(network(), images, Scheme(bits, bits))
    assert quantize_functions.QuantizedFunctionsCPU is TorchKernels
    results = []
    for kernels in (TorchKernels, Reference):
        monkeypatch.setattr(quantize_functions, "QuantizedFunctionsCPU", kernels)
        prepared.zero_grad()
        logits = prepared(images)
        logits.square().sum().backward()
        gradient = {n: p.grad for n, p in prepared.named_parameters() if p.grad is not None}
        results.append((logits, gradient))
    assert sum("scale" in name for name in results[0][1]) > 5
    torch.testing.assert_close(results[0], results[1], atol=1e-2, rtol=1e-2)


def test_restored_network_needs_no_compiled_kernels(images, monkeypatch):
    prepared = prepare(network(), images, Scheme()).eval()
    monkeypatch.setattr(quantize_functions, "QuantizedFunctionsCPU", None)
    restored = restore(network(), images[:2], describe(prepared), prepared.state_dict())
    assert torch.equal(restored(images), prepared(images))
