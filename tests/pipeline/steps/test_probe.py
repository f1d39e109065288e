"""The probes of a run with a wrong mean look alike to the teacher; no student passes on them."""

import numpy as np
import torch
from typer.testing import CliRunner

from dfkd.recipes.held_out import HELD_OUT
from pipeline.cli import app
from pipeline.config.gate_plan import GatePlan
from pipeline.config.input_section import InputSection
from pipeline.config.run_file import parse_run
from pipeline.step_types import StepContext
from pipeline.steps import probe, teacher
from pipeline.store.step_workspace import Workspace
from pipeline.store.storage import Files
from pipeline.training import probe_images
from targets.bundle.golden import load_golden
from tests.pipeline.hostile.test_hostile_bundles import written
from tests.pipeline.test_chain import Silent
from tests.support.quick_run import QUICK
from tests.support.tiny import mnist_teacher


def test_student_that_agrees_on_probes_of_one_class_is_inconclusive(tmp_path, monkeypatch):
    """Run files with such a mean are refused, so the section is made without its checks."""
    small = GatePlan(1, HELD_OUT.overridden({"width": 8}))
    monkeypatch.setattr(probe_images, "gate_plan", lambda _: small)
    in_levels = InputSection.model_construct(
        shape=(1, 32, 32), mean=(116.0,), std=(57.0,), value_range=(0.0, 1.0)
    )
    right = parse_run({**QUICK, "gate": {"generators": 1}}, "run.yaml")
    config = right.model_copy(update={"input": in_levels})
    files = {}
    for step in (teacher, probe):
        folder = tmp_path / step.STEP.name
        folder.mkdir()
        settings = step.STEP.settings(config, "")
        workspace = Workspace(Files(str(tmp_path)), f"checkpoints-{step.STEP.name}")
        context = StepContext(config, settings, files, folder, workspace, Silent())
        files |= step.run(context).files
    golden = load_golden(files[probe.GOLDEN])
    assert len(golden.pixels) == 2000
    # Seen by the teacher, all values of the range are almost the same.
    assert np.ptp(golden.images) < 0.02
    student = tmp_path / "student.onnx"
    example = torch.from_numpy(golden.images[:1])
    names = {"input_names": ["images"], "output_names": ["logits"]}
    axes = {"images": {0: "n"}, "logits": {0: "n"}}
    torch.onnx.export(mnist_teacher(), example, student, dynamo=False, dynamic_axes=axes, **names)
    bundle = written(
        tmp_path / "bundle", files[probe.BUNDLE_GOLDEN].read_bytes(), student.read_bytes()
    )
    result = CliRunner().invoke(app, ["validate", str(bundle)])
    assert result.exit_code == 3, result.output
    assert "inconclusive: agreement with the teacher 100.00 %" in result.output
    assert "the teacher predicts one class for 100.0 % of the images" in result.output
