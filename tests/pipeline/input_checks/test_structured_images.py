"""Structured images: range, repeatability, kinds."""

import pytest
import torch

from pipeline.input_checks.structured_images import structured_images


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (4, 7, 100), (3, 1, 1)], ids=str)
def test_shape_and_range(shape):
    images = structured_images(9, shape)
    assert images.shape == (9, *shape)
    assert images.min() >= 0
    assert images.max() <= 1


def test_images_are_repeatable_and_leave_the_global_random_state_alone():
    before = torch.get_rng_state()
    first, second = structured_images(8, (3, 16, 16)), structured_images(8, (3, 16, 16))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_kinds_alternate():
    """Strokes and gray noise have equal channels, dead leaves and coloured noise do not."""
    images = structured_images(16, (3, 32, 32))
    gray = [bool((image == image[:1]).all()) for image in images]
    assert gray == [False, False, True, True] * 4
    strokes = images[2::4]
    assert [bool(image.mean() > 0.5) for image in strokes] == [False, False, False, True]


def test_images_use_the_whole_range():
    images = structured_images(128, (3, 32, 32))
    levels = images.mean((1, 2, 3))
    assert levels.min() < 0.1
    assert levels.max() > 0.9
    assert images.std() > 0.25
