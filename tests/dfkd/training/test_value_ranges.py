"""Training works the same for every value range, such as raw pixels from 0 to 255."""

import pytest
import torch

from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.recipes import EVERY_RECIPE
from dfkd.training.budget import Plan
from pipeline.input_checks.customary_normalizations import customary_normalizations
from tests.support.tiny import make_loop, make_teacher, one_of_each_kind_quick, shrunk, weights

SHAPE = (1, 28, 28)
USUAL = ImageSpec(SHAPE, (0.5,), (0.25,))
RAW = ImageSpec(SHAPE, (0.0,), (1.0,), (0.0, 255.0))


def ending(spec, recipe):
    """Student and generator after a loop whose networks compute the same for every `spec`."""
    teacher = make_teacher("lenet5-bn")
    torch.manual_seed(0)
    student = build("lenet5-half-bn", USUAL, 10)
    for network in (teacher, student):
        network.register_forward_pre_hook(lambda _, given: (spec.to_standard(given[0]),))
    plan = Plan(min(1, recipe.schedule.warmup_rounds), 1)
    loop = make_loop(shrunk(recipe), plan, teacher=teacher, student=student, spec=spec)
    start = weights(loop.student)
    loop.run()
    return weights(loop.student), start


@pytest.mark.parametrize("name", one_of_each_kind_quick(EVERY_RECIPE))
def test_every_kind_of_recipe_trains_the_same_student_from_raw_pixels(name):
    """On the standard scale, -2 and 2 are the ends of both ranges, so all images are equal.

    Rounding differs, and Adam's first step depends on the sign of gradients that are almost zero.
    """
    usual, start = ending(USUAL, EVERY_RECIPE[name])
    raw, _ = ending(RAW, EVERY_RECIPE[name])
    assert (usual - start).abs().mean() > 0
    assert (raw - usual).abs().mean() < 0.25 * (usual - start).abs().mean()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["ImageNet", "CIFAR-10", "MNIST", "0.5/0.5"])
def test_usual_normalizations_leave_images_alone(name, channels):
    spec = customary_normalizations(ImageSpec((channels, 4, 4), (), ()))[name]
    images = torch.randn(2, channels, 4, 4)
    assert spec.from_standard(images) is images
    assert spec.to_standard(images) is images


@pytest.mark.parametrize("low_high", [(0.0, 1.0), (0.0, 255.0), (-128.0, 127.0)])
def test_units_without_normalization_fill_the_range(low_high):
    low, high = low_high
    spec = ImageSpec((2, 1, 1), (0.0, 0.0), (1.0, 1.0), low_high)
    standard = torch.tensor([-2.0, 0.0, 2.0]).view(3, 1, 1, 1).expand(3, 2, 1, 1)
    images = spec.from_standard(standard)
    expected = torch.tensor([low, (low + high) / 2, high]).view(3, 1, 1, 1)
    torch.testing.assert_close(images, expected.expand_as(images))
    torch.testing.assert_close(spec.to_standard(images), standard)
