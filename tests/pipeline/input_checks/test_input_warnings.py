"""All warnings about the input section, with a trained teacher that has batch norm."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dfkd.models import build
from pipeline.input_checks.customary_normalizations import customary_normalizations
from pipeline.input_checks.input_warnings import MIN_IMAGES, image_count, input_warnings
from tests.support.quick_run import ROOT
from tests.support.tiny import MNIST, mnist_teacher


@pytest.fixture(scope="module")
def teacher():
    network = build("lenet5-bn", MNIST, 10)
    network.load_state_dict(load_file(ROOT / "benchmarks/teachers/lenet5-bn/teacher.safetensors"))
    return network.eval().requires_grad_(False)


def test_true_normalization_has_no_warning(teacher):
    assert input_warnings(teacher, MNIST) == ()


@pytest.mark.parametrize("name", ["0..1", "0..255"])
def test_wrong_scale_is_reported_with_the_normalizations_that_fit(teacher, name):
    line = input_warnings(teacher, customary_normalizations(MNIST)[name])[0]
    given = "[0, 1]" if name == "0..1" else "[0, 255]"
    assert line.startswith(f"input: with mean [0], std [1], value_range {given}, images cannot")
    assert "MNIST (mean [0.1307], std [0.3081], value_range [0, 1])" in line
    assert "0..255 (" not in line
    assert line.endswith("this does not stop a run")


def test_without_batch_norm_the_normalization_is_not_judged():
    wrong = replace(MNIST, mean=(0.0,), std=(1.0,), value_range=(0.0, 255.0))
    assert not [line for line in input_warnings(mnist_teacher(), wrong) if "input:" in line[:7]]


def test_teacher_is_not_changed(teacher):
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    input_warnings(teacher, MNIST)
    assert all(torch.equal(before[name], now) for name, now in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_fewer_images_are_used_if_they_are_large():
    assert image_count(MNIST) == 128
    assert image_count(replace(MNIST, shape=(3, 224, 224))) == MIN_IMAGES
