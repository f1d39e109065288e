"""The page of the quantization table."""

import math

import numpy as np
import pytest

from benchmarks.quantization.__main__ import key_of, read_table
from benchmarks.quantization.jobs import Job
from benchmarks.quantization.page import paired_interval, render
from benchmarks.result_pages import RESULTS
from tests.benchmarks.quantization.rows import build_row


def test_committed_page_matches_its_rows():
    rows, correct = read_table()
    page = render(sorted(rows.values(), key=key_of), correct)
    assert (RESULTS / "quantization.md").read_text() == page


def test_paired_interval_matches_a_calculation_by_hand():
    """Of four images, seed 0 wins one and loses one; seed 1 wins one."""
    ours = np.array([1, 0, 1, 1], bool)
    theirs = np.array([0, 1, 1, 1], bool)
    points, half_width = paired_interval([[(ours, theirs), (ours, np.array([0, 0, 1, 1], bool))]])
    differences = [1.0, -0.5, 0.0, 0.0]
    mean = sum(differences) / 4
    deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / 3)
    assert points == pytest.approx(100 * mean)
    assert half_width == pytest.approx(100 * 1.96 * deviation / 2)


def test_paired_interval_weights_teachers_equally():
    better, same = (np.ones(4, bool), np.zeros(4, bool)), (np.ones(4, bool),) * 2
    assert paired_interval([[better], [same, same, same]])[0] == pytest.approx(50)


def test_page_marks_missing_choices_and_compares_with_the_adversarial_one():
    rows = [build_row("adversarial", 89.5), build_row("noise", 60.0)]
    all_correct = np.ones(100, bool)
    some_wrong = all_correct.copy()
    some_wrong[:30] = False
    correct = {
        Job("cifar10_resnet20", "adversarial", 8, 8, 0).key: all_correct,
        Job("cifar10_resnet20", "noise", 8, 8, 0).key: some_wrong,
    }
    page = render(rows, correct)
    assert "| adversarial | 1 | 1 | 0.50 | 0.50 | - |" in page
    assert "| gdfq | 0 | 0 | not measured | - | - |" in page
    assert "| adversarial | 1 | 89.50 | 0.50 | - | 12 | 1 |" in page
    assert "| noise | 1 | 60.00 | 30.00 | -30.00 [" in page
    assert "| gdfq | 0 | not measured | - | - | - | - |" in page


def test_summary_weights_teachers_equally_and_shows_the_worst_run():
    rows = [
        {**build_row("adversarial", quantized, seed), "teacher": teacher}
        for teacher, runs in (("cifar10_resnet20", (89.9, 89.7)), ("cifar10_resnet32", (90.1,)))
        for seed, quantized in enumerate(runs)
    ]
    assert "| adversarial | 2 | 3 | 0.05 | 0.30 | - |" in render(rows, {})
