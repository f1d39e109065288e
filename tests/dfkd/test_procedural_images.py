"""Procedural images: shapes, ranges, repeatability, and that they differ from each other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfkd.procedural.canvas import Canvas, texture_fields
from dfkd.procedural.drawings import leaves, strokes
from dfkd.procedural.images import ProceduralImages


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def canvas(channels: int, side: int = 32, seed: int = 0) -> Canvas:
    return Canvas(channels, side, rng(seed), texture_fields(channels, side))


@settings(max_examples=15, deadline=None)
@given(
    channels=st.integers(1, 4),
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    count=st.integers(1, 6),
)
def test_every_shape_is_drawn_in_range(channels: int, height: int, width: int, count: int):
    images = ProceduralImages((channels, height, width)).draw(count, rng())

    assert images.shape == (count, channels, height, width)
    assert images.isfinite().all()
    assert images.min() >= 0
    assert images.max() <= 1


def test_equal_generators_draw_equal_images_and_others_draw_others():
    source = ProceduralImages((3, 32, 32))

    first = source.draw(8, rng(1))

    assert torch.equal(first, ProceduralImages((3, 32, 32)).draw(8, rng(1)))
    assert not torch.equal(first, source.draw(8, rng(2)))


@pytest.mark.parametrize("draw", [leaves, strokes])
def test_images_of_a_batch_differ_from_each_other(draw):
    images = draw(canvas(3), 64).flatten(1)

    distances = torch.cdist(images, images) + 1e9 * torch.eye(64)
    assert (distances.min(1).values > 0.1).float().mean() > 0.9


def test_gray_canvas_has_one_channel_and_colour_canvas_has_tints():
    colours = canvas(3).colours(200)

    assert canvas(1).colours(5).shape == (5, 1, 1, 1)
    assert (colours[:, 0] - colours[:, 1]).abs().mean() > 0.05


def test_textures_have_mean_zero_and_a_contrast_of_at_most_a_third():
    fields = canvas(1).textures(500)

    assert fields.mean().abs() < 0.01
    assert fields.std((2, 3)).max() <= 0.9 * 0.27 + 1e-3


def test_amplitude_of_textures_falls_with_the_frequency():
    gray, _ = texture_fields(1, 64)
    power = torch.fft.rfft2(gray).abs().square().mean((0, 1))

    assert power[1, 1] > 10 * power[8, 8] > 10 * power[31, 31]


def test_ramp_rises_by_the_same_step_everywhere():
    ramps = canvas(1, 16).ramps(10)

    torch.testing.assert_close(ramps.diff(dim=2).diff(dim=2), torch.zeros(10, 1, 14, 16))
    assert ramps.abs().max() <= 1


def test_strokes_are_mostly_background_and_some_are_exactly_white_on_black():
    images = strokes(canvas(1), 200)
    black_corner = images[:, 0, 0, 0] == 0

    assert 0.4 < black_corner.float().mean() < 0.9
    plain = images[black_corner]
    assert plain.max() == 1
    assert plain.mean() < 0.4
