"""A student that cannot be quantized is refused before it is trained."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from base.errors import InputError
from pipeline.chain import run_chain
from pipeline.config.recipe_checks import check_recipes
from pipeline.config.run_file import parse_run
from pipeline.store.store import Store
from pipeline.teachers import network_checks
from pipeline.teachers.network_checks import check_networks, check_student
from pipeline.teachers.networks import build_network, image_spec
from tests.pipeline.test_chain import Silent
from tests.support.network_forms import form
from tests.support.quick_run import QUICK


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(32 * 32, 10)

    def forward(self, images):
        return self.layer(images.flatten(1)) if images.sum() > 0 else images


def config(**changes):
    return parse_run({**QUICK, **changes}, "run.yaml")


def test_fitting_student_and_teacher_are_accepted():
    run = config()
    check_student(run, build_network("lenet5-half", 1.0, image_spec(run.input), 10))
    found = check_networks(run, torch.device("cpu"))
    assert "convnet.c1.weight" in found.teacher.state_dict()
    assert len(found.fingerprint) == 64 and found.notes == ()


@pytest.mark.parametrize(
    ("student", "why"),
    [
        (Branching(), r"returns \[1, 1, 32, 32\]"),
        (nn.Conv2d(3, 10, 3), r"cannot take images of shape \[1, 32, 32\]"),
        (nn.Conv2d(1, 10, 3), r"returns \[1, 10, 30, 30\]"),
        (nn.Sequential(nn.Flatten(), nn.Identity()), r"returns \[1, 1024\]"),
        (nn.Sequential(nn.AdaptiveAvgPool2d((1, 10)), nn.Flatten()), "no linear layer to quantize"),
    ],
)
def test_student_that_cannot_be_quantized_is_refused(student, why):
    with pytest.raises(InputError, match=why):
        check_student(config(), student)


def test_unknown_float_layer_is_refused():
    run = config(student="same", quantize={**QUICK["quantize"], "float_layers": ["fc.f8"]})
    with pytest.raises(InputError, match=r"no layer 'fc.f8'; did you mean 'fc.f[67]'"):
        check_networks(run, torch.device("cpu"))


class Random(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.layer, self.draw = nn.Linear(32 * 32, 10), draw

    def forward(self, images):
        return self.layer(self.draw(images.flatten(1)))


@pytest.mark.parametrize(
    "draw", [lambda x: F.dropout(x, 0.1), lambda x: x + 0.01 * torch.randn_like(x)]
)
def test_network_with_random_logits_is_refused(draw):
    with pytest.raises(InputError, match="different logits for the same image in eval mode"):
        check_student(config(student="same"), Random(draw))


def float_layers(chosen):
    return config(
        input={"shape": [3, 16, 16], "mean": [0.5] * 3, "std": [0.25] * 3},
        student="same",
        quantize={**QUICK["quantize"], "float_layers": chosen},
    )


@pytest.fixture
def recurrent():
    """A student with a GRU of 4 units: 3 x 4 x (8 + 4) weights, at 16 positions."""
    return form("recurrent")


GRU, ALL = 16 * 3 * 4 * (8 + 4), 16 * 16 * 27 * 8 + 16 * 3 * 4 * (8 + 4) + 4 * 10


def test_layer_that_cannot_be_quantized_is_refused_with_its_share(recurrent):
    line = rf"memory \(gru, {100 * GRU / ALL:.1f} % of the multiply-adds\); .*float_layers: auto"
    with pytest.raises(InputError, match=line):
        check_student(float_layers([]), recurrent)


@pytest.mark.parametrize("chosen", ["auto", ["memory"], ["mem*"]])
def test_layer_that_cannot_be_quantized_stays_in_float_on_request(recurrent, chosen):
    check_student(float_layers(chosen), recurrent)


def test_auto_leaves_only_a_small_share_in_float(recurrent, monkeypatch):
    monkeypatch.setattr(network_checks, "MAX_FLOAT_SHARE", GRU / ALL)
    check_student(float_layers("auto"), recurrent)
    monkeypatch.setattr(network_checks, "MAX_FLOAT_SHARE", 0.99 * GRU / ALL)
    with pytest.raises(InputError, match="auto allows at most 4 %; name these layers"):
        check_student(float_layers("auto"), recurrent)


def test_auto_changes_nothing_if_all_layers_can_be_quantized():
    check_student(float_layers("auto"), form("module-list"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("def net(num_classes): raise KeyError('depth')", "failed: 'depth'"),
        ("def net(): pass", "returned NoneType, not an nn.Module"),
        ("raise ValueError('no licence')", "no licence"),
        ("def net(:", "invalid syntax"),
        ("net = None", "not callable"),
    ],
)
def test_failing_factory_is_reported_in_one_line(tmp_path, monkeypatch, body, why):
    (tmp_path / "mynet.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("mynet", None)
    run = config()
    with pytest.raises(InputError, match=why) as caught:
        build_network("mynet:net", 1.0, image_spec(run.input), 10)
    assert "\n" not in str(caught.value)


def test_missing_factory_module_names_pythonpath():
    run = config()
    with pytest.raises(InputError, match="PYTHONPATH"):
        build_network("nowhere_at_all:net", 1.0, image_spec(run.input), 10)


def test_comparing_feature_maps_of_different_shapes_is_refused():
    staged = {"overrides": {**QUICK["quantize"]["overrides"], "stages": 1.0}}
    section = {**QUICK["quantize"], **staged}
    with pytest.raises(InputError, match="6x28x28, 16x10x10 in the teacher, 3x28x28, 8x10x10"):
        check_networks(config(quantize=section), torch.device("cpu"))
    # It is allowed if the float student takes the teacher's place, or is the teacher itself.
    check_networks(config(quantize={**section, "teacher": "student"}), torch.device("cpu"))
    check_networks(config(quantize=section, student="same"), torch.device("cpu"))
    with pytest.raises(InputError, match="set stages to 0"):
        check_networks(config(distill={**QUICK["distill"], **staged}), torch.device("cpu"))


def test_check_leaves_student_unchanged():
    """The check runs a folded copy, so the statistics of batch norms stay the same."""
    run = config(student={"architecture": "lenet5-half-bn"})
    student = build_network("lenet5-half-bn", 1.0, image_spec(run.input), 10)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    check_student(run, student)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert student.training


BATCH_NORM = {"student": {"architecture": "lenet5-half-bn"}}
NO_BATCH_NORM = {
    "teacher": {**QUICK["teacher"], "architecture": "lenet5-bn"},
    "student": {"architecture": "lenet5-half"},
}
OTHER_FAMILY = {"student": {"architecture": "resnet20"}}


@pytest.mark.parametrize(
    ("networks", "method", "changes", "reason"),
    [
        # The original teacher trains a new generator, also if the student is the teacher
        # of the fine-tuning.
        (BATCH_NORM, "fresh", {"recipe": "gdfq"}, "lenet5 has none"),
        # The recipe needs a conditional generator, and that of house is not.
        (BATCH_NORM, "adversarial", {"recipe": "gdfq"}, "gdfq cannot continue with .* house: term"),
        (BATCH_NORM, "adversarial", {"recipe": "dafl"}, None),
        (BATCH_NORM, "batch-norm-images", {}, "zeroq needs batch norm .*lenet5 has none"),
        (NO_BATCH_NORM, "batch-norm-images", {}, None),
        # Methods that only calibrate ranges have no teacher.
        (NO_BATCH_NORM, "generator-images", {"recipe": "dfq-akd"}, None),
        (NO_BATCH_NORM, "adversarial", {"recipe": "dfq-akd"}, "lenet5-half has none"),
        (OTHER_FAMILY, "adversarial", {"overrides": {"stages": 1.0}}, None),
        (
            OTHER_FAMILY,
            "adversarial",
            {"overrides": {"stages": 1.0}, "teacher": "original"},
            "one family of architectures, not lenet5 and resnet20",
        ),
    ],
)
def test_recipe_is_checked_against_the_network_that_is_its_teacher(
    networks, method, changes, reason
):
    section = {"teacher": "student", "method": method, **changes}
    run = config(**networks, quantize=section)
    if reason is None:
        check_recipes(run)
    else:
        with pytest.raises(InputError, match=reason):
            check_recipes(run)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"student": "same", "quantize": {"float_layers": ["fc.f8"]}}, "no layer 'fc.f8'"),
        ({"quantize": {"overrides": {"stages": 1.0}}}, "set stages to 0"),
    ],
)
def test_faulty_quantize_section_is_refused_before_training(changes, why, tmp_path):
    section = {**QUICK["quantize"], **changes["quantize"]}
    reporter = Silent()
    with pytest.raises(InputError, match=why):
        run_chain(config(**{**changes, "quantize": section}), Store(str(tmp_path)), reporter)
    assert not any("generator" in line for line in reporter.lines)
    assert not list(tmp_path.rglob("*.checkpoint"))


def test_student_is_built_with_its_arguments_and_output():
    several = "tests.pipeline.teachers.test_outputs:Several"
    student = {
        "architecture": several,
        "factory_arguments": {"form": "dict", "hidden": 7},
        "output": "logits",
    }
    networks = check_networks(config(student=student), torch.device("cpu"))
    assert networks.student.conv.out_channels == 7
    with pytest.raises(InputError, match="returns"):
        check_networks(config(student={**student, "output": "no"}), torch.device("cpu"))
