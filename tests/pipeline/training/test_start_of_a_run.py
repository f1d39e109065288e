"""A run whose student starts with the teacher's weights."""

from safetensors.torch import load_file

from pipeline.config.run_file import read_run_file
from pipeline.run import execute
from pipeline.store.store import Store
from tests.pipeline.test_chain import Silent
from tests.pipeline.training.test_resumable_training import run_to
from tests.support.quick_run import QUICK, write_run

STUDENT = {"architecture": "lenet5", "start": "teacher"}
ALL = "start: 5 of 5 layers from the teacher, 100 % of the weights"


def changed(folder, rate):
    distill = {**QUICK["distill"], "overrides": {**QUICK["distill"]["overrides"], **rate}}
    return read_run_file(write_run(folder, student=STUDENT, distill=distill))


def test_student_that_does_not_learn_stays_equal_to_the_teacher(quick_store, tmp_path):
    config, store = changed(tmp_path, {"student_lr": 1e-30}), Store(str(quick_store))
    record, _ = run_to("distill", config, store, Silent())
    student = load_file(store.get(record.artifacts["student"], tmp_path))
    teacher = load_file(QUICK["teacher"]["weights"])
    assert student.keys() == teacher.keys()
    assert all((student[name] == teacher[name]).all() for name in teacher)


def test_log_and_report_have_the_share_of_the_teacher(quick_store, tmp_path):
    config, reporter = changed(tmp_path, {"student_lr": 1e-3}), Silent()
    manifest = execute(config, Store(str(quick_store)), tmp_path / "bundle", reporter)
    assert f"distill: {ALL}" in reporter.lines
    assert manifest["student"] == f"lenet5, 61,706 parameters; {ALL}"
    assert manifest["run"]["student"]["start"] == "teacher"
    assert ALL in (tmp_path / "bundle" / "report.html").read_text()
