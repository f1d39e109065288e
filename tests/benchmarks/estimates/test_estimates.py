"""The table of estimates: run files, memory of a process tree, and page."""

import sys

import pytest

from benchmarks.estimates.jobs import JOBS
from benchmarks.estimates.page import is_close, render
from benchmarks.estimates.process_memory import run_measured
from benchmarks.estimates.run import run_of
from pipeline.config.run_file import parse_run

ROW = {
    "network": "a network",
    "method": "noise",
    "check_seconds": 5,
    "estimated_seconds": 120,
    "seconds": 100,
    "estimated_steps": {"quantize": 90, "compile local-cpu": 30},
    "steps": {"quantize": 70, "compile": 20},
    "estimated_gib": 1.0,
    "peak_gib": 1.25,
    "machine": "a machine",
}


def test_four_of_ten_networks_take_large_images():
    assert len({job.key for job in JOBS}) == len({job.digest() for job in JOBS}) == 10
    assert sum(job.shape[1] == 224 for job in JOBS) == 4


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.key)
def test_run_files_are_valid_and_have_the_default_verdict(job, tmp_path):
    config = parse_run(run_of(job, tmp_path), "run.yaml")
    assert (config.gate.generators, config.gate.rounds) == (2, None)


def test_memory_of_child_processes_counts():
    """A child of the command holds 200 MB."""
    child = "import time; x = bytearray(200 * 10**6); time.sleep(1)"
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    finished = run_measured([sys.executable, "-c", f"{command}; print('done')"])
    assert (finished.code, finished.output) == (0, "done\n")
    assert 200e6 < finished.peak_bytes < 400e6


@pytest.mark.parametrize(
    ("seconds", "gib", "close"), [(120, 1.0, True), (151, 1.0, False), (120, 0.8, False)]
)
def test_estimate_is_close_within_the_factor_in_time_and_memory(seconds, gib, close):
    assert is_close({**ROW, "estimated_seconds": seconds, "estimated_gib": gib}) is close


def test_page_counts_close_rows():
    page = render([ROW, {**ROW, "estimated_seconds": 1000}], 8)
    assert "**1 of 2 are within a factor of 1.5**" in page
    assert "| a network | 90 / 70 | 30 / 20 |" in page
    assert "| a network | noise | 5 | 120 | 100 | 1.20 | 1.0 | 1.25 | 0.80 |" in page
