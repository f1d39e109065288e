"""The table of the photographs: its jobs, its paired interval and its page."""

import math

import numpy as np
import pytest
from PIL import Image

from benchmarks.photographs.jobs import JOBS
from benchmarks.photographs.page import drop, render
from benchmarks.photographs.run import run_of
from benchmarks.photographs.teacher import photographs
from pipeline.config.run_file import parse_run

ROW = {
    "method": "noise",
    "weight_range": "full",
    "seed": 0,
    "fp32_percent": 90.0,
    "int8_percent": 80.0,
    "agreement_percent": 85.0,
    "photographs": 10,
    "fp32_wrong": [0],
    "int8_wrong": [0, 1],
    "minutes": 1.0,
    "peak_gib": 2.0,
    "milliseconds": {"1 threads, batch 1": {"fp32": 2.0, "int8": 1.0}},
    "int8_kernels": "vnni",
    "machine": "a machine",
}


def test_keys_are_unique_and_all_digests_differ():
    assert len({job.key for job in JOBS}) == len({job.digest() for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("job", [job for job in JOBS if job.is_ours], ids=lambda job: job.key)
def test_run_files_are_valid(job, monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.photographs.run.weights_file", lambda: tmp_path / "w.pth")
    config = parse_run(run_of(job), "run.yaml")
    assert (config.quantize.weight_range, config.seed) == (job.weight_range, job.seed)


def test_drop_is_the_paired_difference():
    """One photograph of ten is wrong only in int8: 10 points, variance (0.1 - 0.01) / 10."""
    points, half = drop(ROW)
    assert points == pytest.approx(10)
    assert half == pytest.approx(196 * math.sqrt(0.009))


def test_equal_mistakes_have_no_interval():
    assert drop({**ROW, "int8_wrong": [0]}) == (0, 0)


def test_page_has_rows_means_and_latencies():
    page = render([ROW, {**ROW, "seed": 1, "int8_wrong": [0, 1, 2]}], 3)
    assert "| noise | full | 0 | 90.0 | 80.0 | 10.0 [" in page
    assert "noise, full: mean drop 15.00 points, largest 20.0 (seeds: 2)" in page
    assert "2.0 / 1.0" in page
    assert "Not measured yet: 3" in page


def test_photographs_have_the_class_of_their_name(tmp_path):
    (tmp_path / "imagenet").mkdir()
    for name, level in (("0002", 10), ("0000", 200)):
        image = Image.fromarray(np.full((224, 224, 3), level, np.uint8))
        image.save(tmp_path / "imagenet" / f"{name}.jpg")
    pixels, classes = photographs(tmp_path)
    assert classes == [0, 2]
    assert pixels.shape == (2, 3, 224, 224)
    assert (pixels[0] == 200).all()
