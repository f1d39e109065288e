"""The teacher step warns of a normalization that is probably wrong."""

from pipeline.bundle.summary import summary_rows
from pipeline.config.run_file import parse_run
from pipeline.step_types import StepContext
from pipeline.steps import teacher
from tests.pipeline.test_chain import Silent
from tests.support.quick_run import QUICK, ROOT

WITH_BATCH_NORM = {
    "weights": str(ROOT / "benchmarks/teachers/lenet5-bn/teacher.safetensors"),
    "architecture": "lenet5-bn",
    "classes": 10,
}


def run_step(folder, **images):
    config = parse_run(
        {**QUICK, "teacher": WITH_BATCH_NORM, "input": {**QUICK["input"], **images}}, "run.yaml"
    )
    reporter = Silent()
    settings = teacher.STEP.settings(config, "")
    made = teacher.run(StepContext(config, settings, {}, folder, None, reporter))
    return made.notes["warnings"], reporter.lines


def test_warning_is_shown_and_noted(tmp_path):
    (warning, *_), lines = run_step(tmp_path, value_range=[0, 255])
    assert warning.startswith("input: with mean [0.1307], std [0.3081], value_range [0, 255]")
    assert f"warning: {warning}" in lines


def test_right_normalization_has_no_warning(tmp_path):
    warnings, lines = run_step(tmp_path)
    assert warnings == []
    assert not any("warning" in line for line in lines)


def test_summary_of_a_run_has_its_warnings(tmp_path):
    manifest = {
        "teacher": {"architecture": "lenet5-bn"},
        "student": "lenet5",
        "health": [],
        "verdict": None,
        "warnings": ["input: wrong"],
    }
    assert ("warning", "input: wrong") in summary_rows(manifest, tmp_path)
