"""The table of ONNX teachers: jobs, run files, exported teachers and page."""

import onnx
import pytest

from benchmarks.onnx_teachers.jobs import JOBS
from benchmarks.onnx_teachers.page import render
from benchmarks.onnx_teachers.run import run_of
from benchmarks.onnx_teachers.teachers import TEACHERS
from pipeline.config.run_file import parse_run

ROW = {
    "teacher": "lenet5-bn",
    "file": "onnx",
    "student": "lenet5-half-bn",
    "seed": 0,
    "teacher_percent": 99.0,
    "fp32": 98.0,
    "int8": 97.5,
    "only_fp32_right": 2,
    "only_int8_right": 1,
    "images": 10,
    "seconds": {"quantize": 60},
    "peak_gib": 1.0,
    "machine": "a machine",
}


def test_keys_are_unique_and_all_digests_differ():
    assert len({job.key for job in JOBS}) == len({job.digest() for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.key)
def test_run_files_are_valid(job, tmp_path):
    config = parse_run(run_of(job, tmp_path / "teacher.onnx"), "run.yaml")
    assert (config.student == "same") == (job.student == "same")
    assert bool(config.teacher.architecture) == (job.file == "state dict")


def test_exported_teacher_has_no_batch_norm(tmp_path):
    TEACHERS["lenet5-bn"].export(tmp_path, tmp_path / "teacher.onnx")
    operators = {node.op_type for node in onnx.load(tmp_path / "teacher.onnx").graph.node}
    assert "Conv" in operators
    assert "BatchNormalization" not in operators


def test_page_compares_onnx_with_state_dict():
    page = render([{**ROW, "file": "state dict"}, {**ROW, "int8": 96.0}], 3)
    assert "| lenet5-bn | onnx | lenet5-half-bn | 0 | 99.00 | 98.00 | 96.00 | 10.00 [" in page
    assert "has 96.00 % from the ONNX file and 97.50 % from the state dict" in page
    assert "a difference of -1.50 points" in page
    assert "Not measured yet: 3" in page
