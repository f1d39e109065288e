"""The probe images of the verdict."""

import pytest
import torch
from torch import nn

from pipeline.config.run_file import parse_run
from pipeline.step_types import StepContext
from pipeline.steps import probe
from pipeline.store.step_workspace import Workspace
from pipeline.store.storage import Files
from pipeline.training import probe_images
from pipeline.training.probe_images import draw_probes
from targets.bundle.probe_quality import probe_quality
from tests.pipeline.test_chain import Silent
from tests.support.quick_run import QUICK


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Return a function that draws the probes for a number of classes with a linear teacher."""

    def draw(classes, side=16, weight=1.0, **gate):
        torch.manual_seed(0)
        teacher = nn.Sequential(nn.Flatten(), nn.Linear(side * side, classes)).eval()
        teacher[1].weight.data.mul_(weight)
        monkeypatch.setattr(probe_images, "open_teacher", lambda *_: teacher.requires_grad_(False))
        document = {name: QUICK[name] for name in ("name", "teacher", "student")}
        document["teacher"] = {**QUICK["teacher"], "classes": classes}
        images = {"shape": [1, side, side], "mean": [0.5], "std": [0.5]}
        config = parse_run({**document, "input": images, "gate": gate}, "run.yaml")
        workspace = Workspace(Files(str(tmp_path)), f"checkpoints-{classes}-{side}")
        settings = probe.STEP.settings(config, "")
        return draw_probes(StepContext(config, settings, {}, tmp_path, workspace, Silent()))

    return draw


@pytest.mark.parametrize(("generators", "images"), [(1, 2_000), (3, 2_100)])
def test_with_more_classes_than_a_batch_every_class_is_asked_for_equally_often(
    drawn, generators, images
):
    golden, _ = drawn(70, rounds=1, generators=generators, images=images)
    counts = torch.bincount(torch.from_numpy(golden.asked), minlength=70)
    assert counts.sum() == images
    assert counts.max() - counts.min() == (1 if images % 70 else 0)
    shares = torch.bincount(torch.from_numpy(golden.generator))
    assert shares.tolist() == [images // generators] * generators
    # In random order, so that a bundle's every sixth probe does not lack classes.
    assert len(set(golden.asked[::6])) > 50


def test_with_few_classes_labels_are_random(drawn):
    golden, _ = drawn(10, rounds=1, generators=1)
    counts = torch.bincount(torch.from_numpy(golden.asked), minlength=10)
    assert counts.sum() == 2_000
    assert 1 < counts.max() - counts.min() < 100


def test_notes_have_the_rounds_batch_and_drawn_size(drawn):
    _, notes = drawn(10, rounds=1, generators=1)
    assert notes["gate"] == {"rounds": 1, "batch": 64, "drawn": [16, 16]}
    golden, notes = drawn(10, side=128, rounds=1, generators=1)
    assert notes["gate"] == {"rounds": 1, "batch": 24, "drawn": [64, 64]}
    assert golden.pixels.shape == (2_000, 1, 128, 128)


def test_logits_are_those_of_the_stored_pixels(drawn, monkeypatch):
    golden, _ = drawn(10, rounds=1, generators=1)
    teacher = probe_images.open_teacher()
    with torch.no_grad():
        expected = teacher(torch.from_numpy(golden.images)).numpy()
    torch.testing.assert_close(golden.teacher_logits, expected)


def test_a_teacher_that_makes_generators_collapse_gets_unusable_probes(drawn):
    """The run must not end with an error after the student is trained; its verdict says why."""
    golden, notes = drawn(10, weight=0.0, rounds=100, generators=1)
    assert "given up after 3 roll-backs" in notes["probe generator 1"]["health"][-1]
    assert probe_quality(golden, 0.9).faults
