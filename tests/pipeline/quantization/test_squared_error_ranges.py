"""Ranges of least squared error against brute force."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline.quantization import squared_error_ranges
from pipeline.quantization.fake_quantizers import prepare, quantizers
from pipeline.quantization.scheme import Scheme
from pipeline.quantization.squared_error_ranges import SHARES, AbsoluteHistogram
from tests.support.network_forms import images


def error(values, top, levels):
    step = top / levels
    rounded = (values.double().abs() / step).round().clamp_max(levels) * step
    return float((rounded - values.double().abs()).square().sum())


def histogram_of(values, top=None):
    histogram = AbsoluteHistogram(float(values.abs().max()) if top is None else top)
    for part in values.split(1_000):
        assert histogram(part) is part
    return histogram


def normal(count, power=1):
    values = torch.randn(count, generator=torch.Generator().manual_seed(0))
    return values.sign() * values.abs() ** power


@pytest.mark.parametrize("levels", [1, 3, 7, 15, 127])
@pytest.mark.parametrize("power", [1, 3])
def test_error_of_chosen_top_is_the_least_of_all_candidates(levels, power):
    values = normal(20_000, power)
    histogram = histogram_of(values)
    errors = {share: error(values, share * histogram.top, levels) for share in SHARES}
    chosen = histogram.best_top(levels)
    assert error(values, chosen, levels) <= 1.01 * min(errors.values())
    assert error(values, chosen, levels) <= errors[1.0]


@pytest.mark.parametrize("levels", [3, 15])
def test_values_above_the_largest_candidate_count_with_their_clipping_error(levels):
    """The largest candidate is the mean of the batches' maxima, so some values are above it."""
    values = torch.cat([normal(20_000), torch.tensor([9.0, -12.0, 20.0])])
    histogram = histogram_of(values, top=2.0)
    errors = {share: error(values, share * 2.0, levels) for share in SHARES}
    assert error(values, histogram.best_top(levels), levels) <= 1.01 * min(errors.values())


def test_values_on_the_levels_keep_the_whole_range():
    values = torch.arange(0, 16).float().repeat(100)
    assert histogram_of(values).best_top(15) == 15.0


def test_one_outlier_is_clipped_where_levels_are_few():
    values = torch.cat([torch.rand(1_000), torch.tensor([4.0])])
    assert histogram_of(values).best_top(3) < 2
    assert histogram_of(values).best_top(127) > 3.5


def test_zeros_keep_the_range():
    assert histogram_of(torch.zeros(10), top=2.0).best_top(127) == 2.0


@given(st.floats(1e-3, 1e3), st.integers(2, 8))
def test_choice_is_proportional_to_the_values(factor, bits):
    values, levels = normal(2_000), 2 ** (bits - 1) - 1
    plain = histogram_of(values)
    scaled = histogram_of(values * factor)
    ratio = scaled.best_top(levels) / plain.best_top(levels)
    assert error(values * factor, scaled.best_top(levels), levels) == pytest.approx(
        factor**2 * error(values, plain.best_top(levels), levels), rel=0.02
    )
    assert ratio == pytest.approx(factor, rel=0.1)


def test_large_tensors_are_counted_in_parts(monkeypatch):
    values = normal(10_000)
    whole = histogram_of(values)
    monkeypatch.setattr(squared_error_ranges, "CHUNK", 64)
    parts = histogram_of(values)
    assert torch.equal(whole.counts, parts.counts)
    torch.testing.assert_close(whole.above, parts.above)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_prepared_network_has_the_chosen_ranges(bits):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()
    x = images(128)
    tops = {}
    for ranges in ("largest", "squared-error"):
        scheme = Scheme(bits, bits, edge_bits=bits, ranges=ranges)
        found = [q for _, q in quantizers(prepare(network, x, scheme)) if not q.per_channel]
        tops[ranges] = sorted((q.scale.item(), q.level_high) for q in found)
    # At 8 bits, the output of the convolution is quantized too.
    seen = [network[:3](x), *([network[:2](x)] if bits == 8 else []), x]
    for (largest, levels), (chosen, _), values in zip(
        tops["largest"], tops["squared-error"], seen, strict=True
    ):
        expected = histogram_of(values.flatten(), top=largest).best_top(levels)
        assert chosen == pytest.approx(expected, rel=1e-6)
        if bits == 2:
            assert chosen < largest
