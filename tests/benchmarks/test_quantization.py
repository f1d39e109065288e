import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quantization_jobs import CHOICES, SLOW, Job, jobs
from benchmarks.quantization_table import paired_interval, render
from pipeline.recipes import check_recipes, chosen_recipe


def row(choice, quantized, seed=0):
    return {
        "teacher": "cifar10_resnet20",
        "choice": choice,
        "weight_bits": 8,
        "activation_bits": 8,
        "seed": seed,
        "fp32": 90.0,
        "quantized": quantized,
        "seconds": 12.0,
        "machine": "this one",
    }


def test_every_run_is_there_once_and_is_a_run_that_the_pipeline_takes():
    quick = len(CHOICES) - len(SLOW)
    assert len({job.key for job in jobs()}) == len(jobs()) == 4 * (3 * quick + len(SLOW))
    for job in jobs():
        config = job.config(Path("teachers"))
        assert config.quantize.exported == (job.weight_bits == 8)
        assert config.seed == job.seed
        check_recipes(config)
        chosen_recipe(config.quantize.recipe, config.quantize.overrides)


def test_the_paired_interval_by_hand():
    """Of four images one is won and one is lost by the first seed, one is won by the second."""
    ours = np.array([1, 0, 1, 1], bool)
    theirs = np.array([0, 1, 1, 1], bool)
    points, reach = paired_interval([(ours, theirs), (ours, np.array([0, 0, 1, 1], bool))])
    differences = [1.0, -0.5, 0.0, 0.0]
    mean = sum(differences) / 4
    spread = math.sqrt(sum((d - mean) ** 2 for d in differences) / 3)
    assert points == pytest.approx(100 * mean)
    assert reach == pytest.approx(100 * 1.96 * spread / 2)


def test_the_table_says_what_was_not_measured_and_compares_with_the_adversarial_choice():
    rows = [row("adversarial", 89.5), row("noise", 60.0)]
    right = np.ones(100, bool)
    wrong = right.copy()
    wrong[:30] = False
    marks = {
        Job("cifar10_resnet20", "adversarial", 8, 8, 0).key: right,
        Job("cifar10_resnet20", "noise", 8, 8, 0).key: wrong,
    }
    page = render(rows, marks)
    assert "| adversarial | 1 | 89.50 | 0.50 | - | 12-12 |" in page
    assert "| noise | 1 | 60.00 | 30.00 | -30.00 [" in page
    assert "| gdfq | 0 | not measured | - | - | - |" in page
