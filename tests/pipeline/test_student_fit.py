"""A student that could be taught and then not be quantized is refused before it is taught."""

import sys

import pytest
import torch
from torch import nn

from benchmarks.quick_run import QUICK
from pipeline.errors import InputError
from pipeline.networks import build_network, image_spec
from pipeline.recipes import check_recipes
from pipeline.run_file import parse_run
from pipeline.student_fit import check_networks, check_student


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(32 * 32, 10)

    def forward(self, images):
        return self.layer(images.flatten(1)) if images.sum() > 0 else images


def config(**changes):
    return parse_run({**QUICK, **changes}, "run.yaml")


def test_one_that_fits():
    run = config()
    check_student(run, build_network("lenet5-half", 1.0, image_spec(run.input), 10))
    assert "convnet.c1.weight" in check_networks(run, torch.device("cpu"))


@pytest.mark.parametrize(
    ("student", "why"),
    [
        (Branching(), "may not branch on values"),
        (nn.Conv2d(3, 10, 3), r"cannot take images of shape \[1, 32, 32\]"),
        (nn.Conv2d(1, 10, 3), r"answers with \[1, 10, 30, 30\]"),
        (nn.Sequential(nn.Flatten(), nn.Identity()), r"answers with \[1, 1024\]"),
        (nn.Sequential(nn.AdaptiveAvgPool2d((1, 10)), nn.Flatten()), "no linear layer to quantize"),
    ],
)
def test_ones_that_do_not(student, why):
    with pytest.raises(InputError, match=why):
        check_student(config(), student)


def test_a_layer_that_is_none_of_its():
    run = config(student="same", quantize={**QUICK["quantize"], "float_layers": ["fc.f8"]})
    with pytest.raises(InputError, match=r"no layer 'fc.f8'; did you mean 'fc.f[67]'"):
        check_networks(run, torch.device("cpu"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("def net(num_classes): raise KeyError('depth')", "fails: 'depth'"),
        ("def net(): pass", "fails: .*num_classes"),
        ("raise ValueError('no licence')", "no licence"),
        ("def net(:", "invalid syntax"),
        ("net = None", "not callable"),
    ],
)
def test_a_factory_that_fails_is_told_in_one_line(tmp_path, monkeypatch, body, why):
    (tmp_path / "mynet.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("mynet", None)
    run = config()
    with pytest.raises(InputError, match=why) as told:
        build_network("mynet:net", 1.0, image_spec(run.input), 10)
    assert "\n" not in str(told.value)


def test_a_factory_that_is_not_found_says_where_it_must_lie():
    run = config()
    with pytest.raises(InputError, match="PYTHONPATH"):
        build_network("nowhere_at_all:net", 1.0, image_spec(run.input), 10)


def test_stages_of_another_width_cannot_be_compared():
    staged = {"overrides": {**QUICK["quantize"]["overrides"], "features": 1.0}}
    section = {**QUICK["quantize"], **staged}
    with pytest.raises(InputError, match="6x28x28, 16x10x10 in the teacher, 3x28x28, 8x10x10"):
        check_networks(config(quantize=section), torch.device("cpu"))
    # Unless it is the student in float that answers, or the student is the teacher.
    check_networks(config(quantize={**section, "teacher": "student"}), torch.device("cpu"))
    check_networks(config(quantize=section, student="same"), torch.device("cpu"))
    with pytest.raises(InputError, match="set features to 0"):
        check_networks(config(distill={**QUICK["distill"], **staged}), torch.device("cpu"))


def test_the_answer_is_asked_of_the_folded_network():
    """Batch norms of a fresh student stay as they are: the check moves no statistics."""
    run = config(student={"architecture": "lenet5-half-bn"})
    student = build_network("lenet5-half-bn", 1.0, image_spec(run.input), 10)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    check_student(run, student)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert student.training


def test_a_float_student_that_answers_is_of_its_own_family():
    """What the quantized student compares stages with is then no longer the original teacher."""
    section = {**QUICK["quantize"], "overrides": {"features": 1.0}}
    other = {"student": {"architecture": "resnet20"}}
    check_recipes(config(quantize={**section, "teacher": "student"}, **other))
    with pytest.raises(InputError, match="one registry family, not lenet5 and resnet20"):
        check_recipes(config(quantize=section, **other))
