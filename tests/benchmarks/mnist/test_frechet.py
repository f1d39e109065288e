"""The Frechet distance and the diversity of images, against closed forms."""

import pytest
import torch

from benchmarks.mnist.frechet import diversity, frechet_distance

TEACHER = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))


def test_frechet_distance_of_equal_images_is_zero():
    images = torch.randn(200, 1, 2, 2)
    assert frechet_distance(TEACHER, images, images) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_shifted_images_is_the_squared_shift():
    images = torch.randn(200, 1, 2, 2)
    distance = frechet_distance(TEACHER, images + 3, images)
    assert distance == pytest.approx(4 * 9, rel=1e-5)


def test_frechet_distance_of_scaled_images_matches_the_closed_form():
    """tr(C + 4 C - 2 (4 C^2)^(1/2)) = tr(C)."""
    images = torch.randn(300, 1, 2, 2)
    images -= images.mean(0)
    expected = images.flatten(1).double().T.cov().trace().item()
    assert frechet_distance(TEACHER, 2 * images, images) == pytest.approx(expected, rel=1e-5)


def test_diversity_matches_all_pairs():
    images = torch.randn(20, 1, 2, 2)
    rows = images.flatten(1).double()
    pairs = torch.cdist(rows, rows).square().sum() / (20 * 19)
    assert diversity(TEACHER, images) == pytest.approx(pairs.sqrt().item(), rel=1e-6)
