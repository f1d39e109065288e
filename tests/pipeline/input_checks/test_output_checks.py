"""Warnings about what a teacher returns."""

import pytest
import torch
from torch import nn

from pipeline.input_checks.batch_norm_reach import in_range
from pipeline.input_checks.output_checks import dominant_share, output_warnings
from pipeline.input_checks.structured_images import structured_images
from tests.support.tiny import MNIST, mnist_teacher

IMAGES = in_range(structured_images(16, MNIST.shape), MNIST)


def warnings_of(*last, change=None):
    """The warnings about the trained teacher, with layers appended or a changed bias."""
    teacher = mnist_teacher()
    if change is not None:
        change(teacher)
    return list(output_warnings(nn.Sequential(teacher, *last).eval(), MNIST, IMAGES))


def test_trained_teacher_has_no_warning():
    assert warnings_of() == []


def test_log_probabilities_are_no_fault():
    assert warnings_of(nn.LogSoftmax(1)) == []


def test_probabilities_are_reported():
    (line,) = warnings_of(nn.Softmax(1))
    assert line.startswith("teacher: it returns probabilities")


@pytest.mark.parametrize("scale", [0.0, 1e-4])
def test_logits_that_do_not_react_are_reported(scale):
    def dulled(teacher):
        teacher.fc.f7.weight.mul_(scale)
        teacher.fc.f7.bias.copy_(torch.arange(10.0))

    (line,) = warnings_of(change=dulled)
    assert line.startswith("teacher: its logits do not react to the image")


def test_constant_logits_of_equal_value_do_not_react():
    def blank(teacher):
        teacher.fc.f7.weight.zero_()
        teacher.fc.f7.bias.zero_()

    assert "do not react" in warnings_of(change=blank)[0]


def test_class_that_takes_all_images_is_reported():
    """Its logit is so large that no image is predicted as another class."""

    def biased(teacher):
        teacher.fc.f7.bias[3] = 1000.0

    (line,) = warnings_of(change=biased)
    assert line.startswith("teacher: it predicts class 3 for 100 % of structured images")


def test_class_that_takes_structured_images_only_is_not_reported():
    """Images optimized for other classes are predicted as these."""

    def biased(teacher):
        teacher.fc.f7.bias[3] += 16.0

    teacher = mnist_teacher()
    biased(teacher)
    assert dominant_share(teacher(IMAGES)) >= 0.9
    assert warnings_of(change=biased) == []


def test_logits_that_are_not_finite_are_reported():
    def broken(teacher):
        teacher.fc.f7.weight[0, 0] = float("nan")

    (line,) = warnings_of(change=broken)
    assert "not finite" in line


def test_dominant_share():
    assert dominant_share(torch.eye(4)[[0, 1, 1, 2]]) == 0.5
