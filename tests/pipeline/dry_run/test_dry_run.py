"""The dry run of `datafree-edge check`."""

import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from base.errors import InputError
from pipeline.config.chosen_recipes import calibration_passes
from pipeline.config.gate_plan import COMPILED, gate_passes, gate_plan, rest_passes
from pipeline.config.run_file import parse_run
from pipeline.dry_run import pass_times
from pipeline.dry_run.costs import TrainingCosts
from pipeline.dry_run.dry_run import dry_run
from pipeline.dry_run.lines import dry_run_lines
from pipeline.dry_run.pass_times import NetworkTimes, PassTimer, PassTimes
from tests.pipeline.config.test_batch_limit import config as large_or_small
from tests.pipeline.test_chain import Silent
from tests.pipeline.test_progress_of_a_run import Recorder
from tests.support.quick_run import QUICK

NETWORKS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.head, self.auxiliary = nn.Linear(4, 10), nn.Linear(4, 10)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        if self.training:
            return self.auxiliary(x.mean((2, 3)))
        return self.head(x.mean((2, 3)))

class WithoutGradient(Net):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)

class Random(Net):
    def forward(self, x):
        return super().forward(x) + torch.rand(1, 10)

class NotExported(Net):
    def forward(self, x):
        return super().forward(x) + torch.linalg.svdvals(x[:, 0])[:, :10]

def net(num_classes): return Net()
def without_gradient(num_classes): return WithoutGradient()
def random(num_classes): return Random()
def not_exported(num_classes): return NotExported()
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Return a function that makes the run of a network in `NETWORKS`."""
    (tmp_path / "forms.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("forms", None)
    import forms

    def make(factory="net", **quantize):
        torch.manual_seed(0)
        save_file(getattr(forms, factory)(10).state_dict(), tmp_path / "teacher.safetensors")
        teacher = {
            "weights": str(tmp_path / "teacher.safetensors"),
            "architecture": f"forms:{factory}",
            "classes": 10,
        }
        section = {**QUICK["quantize"], "method": "noise", "overrides": {}, **quantize}
        changes = {"teacher": teacher, "student": "same", "quantize": section}
        return parse_run({**QUICK, **changes}, "run.yaml")

    return make


def test_warnings_are_in_the_json_and_come_first_in_the_lines(config):
    """The teacher has random weights, and a last layer that is set to zero."""
    made = config()
    state = load_file(made.teacher.weights)
    save_file({**state, "head.weight": 0 * state["head.weight"]}, made.teacher.weights)
    found = dry_run(made, Silent())
    warnings = found.as_json()["warnings"]
    assert warnings[-1].startswith("teacher: its logits do not react to the image")
    lines = list(dry_run_lines(found))
    assert lines[: len(warnings)] == [f"warning: {warning}" for warning in warnings]


def test_summary_counts_layers_and_multiply_adds(config):
    found = dry_run(config(), Silent())
    assert found.network.layers == 2
    assert found.network.multiply_adds == 30 * 30 * 4 * 9 + 40
    assert found.network.quantized_share == 1.0
    assert found.network.uncalled == ("auxiliary",)
    lines = "\n".join(dry_run_lines(found))
    assert "2 layers" in lines
    assert "never called, ignored: auxiliary" in lines


def test_start_from_the_teacher_is_reported():
    student = {"architecture": "lenet5-half", "start": "teacher"}
    found = dry_run(parse_run({**QUICK, "student": student}, "run.yaml"), Silent())
    assert found.as_json()["start"] == "5 of 5 layers from the teacher, 100 % of the weights"
    assert f"start: {found.start}" in list(dry_run_lines(found))


def test_layers_in_float_are_listed_with_their_share(config):
    found = dry_run(config(float_layers=["he*"]), Silent())
    (layer,) = found.network.float_layers
    assert layer.name == "head"
    assert layer.share == pytest.approx(40 / (30 * 30 * 4 * 9 + 40))
    assert found.network.quantized_share == pytest.approx(1 - layer.share)


def test_every_stage_of_the_run_has_an_estimate(config):
    recorder = Recorder()
    found = dry_run(config(), recorder)
    assert recorder.phases == {"check": [(done, 11) for done in range(12)]}
    names = [stage.name for stage in found.stages]
    assert names == [
        "start",
        "quantize",
        "probe",
        "export",
        "hops",
        "compile local-cpu",
        "validate local-cpu",
    ]
    assert all(stage.seconds > 0 for stage in found.stages)
    assert found.as_json()["seconds"] == found.seconds


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        ("without_gradient", "logits have no gradient.*remove torch.no_grad"),
        ("random", "different logits for the same image"),
        ("not_exported", "cannot be exported to ONNX"),
    ],
)
def test_what_the_run_would_refuse_later_is_refused_in_one_line(config, factory, why):
    with pytest.raises(InputError, match=why) as caught:
        dry_run(config(factory), Silent())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("method", ["adversarial", "frozen", "generator-images", "noise"])
def test_estimate_counts_the_passes_of_the_limited_recipes(monkeypatch, method, side):
    """If a forward pass takes a second and one with a backward pass three, seconds are passes."""
    monkeypatch.setattr(TrainingCosts, "_generator", lambda *_: PassTimes(0.0, 0.0, 0))
    chosen = large_or_small(side, student="same", quantize={"method": method})
    times = NetworkTimes(lambda _: PassTimes(1, 3, 5), lambda _: PassTimes(1, 3, 5))
    costs = TrainingCosts(chosen, times, times, torch.device("cpu"))
    costs.quantized = times.training
    seconds = {stage.name: stage.seconds for stage in costs.stages()}
    probe = seconds.pop("probe")
    assert sum(seconds.values()) == rest_passes(chosen)
    answers = COMPILED * chosen.gate.images
    assert probe == gate_passes(chosen, gate_plan(chosen)) - answers


def test_estimate_distinguishes_training_from_plain_passes(monkeypatch):
    """Calibration and the probes' labels need plain passes, generators those of a training."""
    monkeypatch.setattr(TrainingCosts, "_generator", lambda *_: PassTimes(0.0, 0.0, 0))
    chosen = large_or_small(32, student="same", quantize={"method": "noise"})
    times = NetworkTimes(
        training=lambda _: PassTimes(1, 3, 5), plain=lambda _: PassTimes(10, 30, 50)
    )
    costs = TrainingCosts(chosen, times, times, torch.device("cpu"))
    seconds = {stage.name: stage.seconds for stage in costs.stages()}
    assert seconds["quantize"] == 10 * calibration_passes(chosen)
    images, plan = chosen.gate.images, gate_plan(chosen)
    assert seconds["probe"] == gate_passes(chosen, plan) - COMPILED * images + 9 * images


def test_estimate_of_memory_uses_the_limited_batch_and_pool(monkeypatch):
    monkeypatch.setattr(TrainingCosts, "_generator", lambda *_: PassTimes(0.0, 0.0, 0))
    chosen = large_or_small(224, student="same")
    teacher, student = (
        NetworkTimes(*[lambda _, saved=saved: PassTimes(1, 3, saved)] * 2) for saved in (10, 100)
    )
    costs = TrainingCosts(chosen, teacher, student, torch.device("cpu"))
    needed = {stage.name: stage.bytes for stage in costs.stages()}
    assert needed["fresh_generator"] == 8 * 10
    assert needed["quantize"] == 80 * 2 * 4 * (2 * 3 * 224 * 224) + 2 * 4 * 200
    assert needed["probe"] == 8 * 10


def test_passes_are_measured_with_the_batch_of_a_stage(monkeypatch):
    batches = []

    def measure(_, images, *__, learns):
        batches.append((len(images), learns))
        return PassTimes(1, 3, 5)

    monkeypatch.setattr(pass_times, "time_passes", measure)
    timer = PassTimer(torch.nn.Flatten(), torch.zeros(16, 1, 2, 2), learns=True)
    for batch in (8, 8, 100):
        timer(batch)
    assert batches == [(8, True), (16, True)]


def test_measuring_a_student_leaves_its_weights_alone():
    student = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    student.append(torch.nn.Flatten()).append(torch.nn.Linear(72, 3))
    before = {name: value.clone() for name, value in student.state_dict().items()}
    found = PassTimer(student, torch.rand(4, 1, 8, 8), training=True, learns=True)(4)
    assert 0 < found.forward < found.backward
    torch.testing.assert_close(student.state_dict(), before)
