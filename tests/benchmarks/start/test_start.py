"""The table of students that start from the teacher: its jobs, run files and page."""

import pytest

from benchmarks.start.jobs import JOBS
from benchmarks.start.page import render
from pipeline.config.run_file import parse_run

ROW = {
    "teacher": "lenet5",
    "steps": 500,
    "start": "teacher",
    "seed": 1,
    "untrained": 12.3,
    "fp32": 90.0,
    "teacher_accuracy": 99.0,
    "seconds": {"distill": 90},
    "machine": "a machine",
}


def test_keys_are_unique_and_all_digests_differ():
    assert len({job.key for job in JOBS}) == len({job.digest() for job in JOBS}) == len(JOBS) == 16


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.key)
def test_run_files_are_valid(job):
    config = parse_run(job.run, "run.yaml")
    assert (config.student.start, config.seed) == (job.start, job.seed)


def test_page_shows_measured_and_missing_runs():
    page = render([ROW], 15)
    line = "| lenet5 | lenet5-half | 500 | teacher | 12.30 | not measured | 90.00 | 90.00 | 99.00 |"
    assert f"{line} 1.5 |" in page
    assert "| resnet20 | resnet20, width 0.25 | 1,000 | random | not measured |" in page
    assert "Not measured yet: 15" in page
