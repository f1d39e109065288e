"""How close images come to the statistics of the first batch norm."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dfkd.images import ImageSpec
from pipeline.input_checks import batch_norm_reach as module
from pipeline.input_checks.batch_norm_reach import Reach, batch_norm_reach
from pipeline.input_checks.structured_images import structured_images

SPEC = ImageSpec((1, 8, 8), (0.0,), (1.0,))

IMAGES = structured_images(64, SPEC.shape)


def norm_of(images, shift=0.0, factor=1.0):
    """A batch norm with the statistics of images, whose mean and variance are then changed."""
    norm = nn.BatchNorm2d(1, eps=0.0).eval()
    norm.running_mean[:] = images.mean() + shift * images.std()
    norm.running_var[:] = images.var(correction=0) * factor
    return norm


def test_statistics_of_the_images_are_reached_exactly():
    reach = batch_norm_reach(norm_of(IMAGES), SPEC, IMAGES)
    assert reach.shift == pytest.approx(0, abs=1e-3)
    assert reach.factor == pytest.approx(1, abs=1e-2)


def test_statistics_of_a_subset_are_reached():
    subset = IMAGES[:16]
    assert batch_norm_reach(norm_of(subset), SPEC, IMAGES).factor < 1.05


def test_variance_above_that_of_the_value_range_is_not_reached():
    """Values from 0 to 1 have a variance of at most 1/4; 4 is a factor of 16 more."""
    norm = norm_of(IMAGES)
    norm.running_mean[:], norm.running_var[:] = 0.5, 4.0
    assert batch_norm_reach(norm, SPEC, IMAGES).factor > 16
    wide = dataclasses.replace(SPEC, value_range=(-4.5, 5.5))
    assert batch_norm_reach(norm, wide, IMAGES).within


def test_mean_outside_the_value_range_is_not_reached():
    norm = norm_of(IMAGES, shift=6.0)
    reach = batch_norm_reach(norm, SPEC, IMAGES)
    assert reach.shift > 1.0
    assert not reach.within


def test_set_uses_at_least_an_eighth_of_the_images():
    """One white image among seven black ones in eight would give mean 1/8."""
    white = torch.zeros(64, 1, 8, 8)
    white[0] = 1.0
    norm = nn.BatchNorm2d(1, eps=0.0).eval()
    norm.running_mean[:], norm.running_var[:] = 1.0, 1.0
    assert batch_norm_reach(norm, SPEC, white).shift == pytest.approx(1 - 1 / 8)


@given(st.integers(0, 1000))
def test_found_moments_are_the_closest(seed):
    """With 16 images, a set is a mixture of pairs. No pair is closer to 0 along the found point."""
    moments = np.random.default_rng(seed).normal(size=(16, 6)) + 1.0
    pairs = [(moments[i] + moments[j]) / 2 for i in range(16) for j in range(i)]
    found = module._closest(moments)
    square = float(found @ found)
    assert min(float(pair @ found) for pair in pairs) >= square - 0.02 * max(1.0, square)


def test_only_the_first_batch_norm_is_judged_and_the_rest_is_not_run():
    class Rest(nn.Module):
        def forward(self, images):
            raise AssertionError

    network = nn.Sequential(norm_of(IMAGES), Rest())
    assert batch_norm_reach(network, SPEC, IMAGES).within
    assert not network[0]._forward_pre_hooks


def test_channel_without_variance_does_not_count():
    norm = nn.BatchNorm2d(1, eps=1e-3).eval()
    norm.running_mean[:], norm.running_var[:] = 0.0, 0.0
    reach = batch_norm_reach(norm, SPEC, torch.zeros_like(IMAGES))
    assert reach == Reach(0.0, 1.0)


def test_network_without_batch_norm_has_no_reach():
    assert batch_norm_reach(nn.Flatten(), SPEC, IMAGES) is None
    without_statistics = nn.BatchNorm2d(1, track_running_stats=False).eval()
    assert batch_norm_reach(without_statistics, SPEC, IMAGES) is None


def test_infinite_values_are_out_of_reach():
    assert not batch_norm_reach(norm_of(IMAGES), SPEC, IMAGES * float("inf")).within
