import math
from pathlib import Path

import numpy as np
import pytest
import typer

from benchmarks.quantization import __main__ as quantization
from benchmarks.quantization.__main__ import RESULTS, _key, main, pending, read_table
from benchmarks.quantization.jobs import CHOICES, FEW_BITS, SLOW, SMALL, Job, jobs
from benchmarks.quantization.marks import read_marks, write_marks
from benchmarks.quantization.table import paired_interval, render
from pipeline.config.chosen_recipes import chosen_recipe
from pipeline.config.recipe_checks import check_recipes
from pipeline.steps import fresh_generator


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
        "threads": 1,
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
    points, reach = paired_interval([[(ours, theirs), (ours, np.array([0, 0, 1, 1], bool))]])
    differences = [1.0, -0.5, 0.0, 0.0]
    mean = sum(differences) / 4
    spread = math.sqrt(sum((d - mean) ** 2 for d in differences) / 3)
    assert points == pytest.approx(100 * mean)
    assert reach == pytest.approx(100 * 1.96 * spread / 2)


def test_a_teacher_with_more_runs_counts_no_more_in_the_interval():
    better, same = (np.ones(4, bool), np.zeros(4, bool)), (np.ones(4, bool),) * 2
    assert paired_interval([[better], [same, same, same]])[0] == pytest.approx(50)


def test_the_measured_rows_make_the_page_that_is_there():
    rows, marks = read_table()
    page = render(sorted(rows.values(), key=_key), marks)
    assert (RESULTS / "quantization.md").read_text() == page


def test_a_file_that_every_run_needs_is_missed_before_the_first(tmp_path):
    with pytest.raises(typer.BadParameter, match="cifar10 is not there"):
        main(data=tmp_path, teachers=tmp_path, state=tmp_path)


def test_a_row_that_is_kept_is_measured_and_its_own_file_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(quantization, "RESULTS", tmp_path / "results")
    job, other = jobs()[:2]
    marks = {
        job.key: np.ones(8, bool),
        job.teacher: np.ones(8, bool),
        "of no row": np.ones(8, bool),
    }
    write_marks(tmp_path / f"{job.key}.npz", marks)
    (tmp_path / f"{job.key}.json").touch()
    measured = {**row(job.choice, 90.0), "teacher": job.teacher, "digest": job.digest()}
    said = quantization._take_up(job, measured, tmp_path)
    assert said == f"{job.key}: 90.00 (90.00 in float)"
    assert not (tmp_path / f"{job.key}.json").exists()
    rows, kept = read_table()
    assert rows == {job.key: measured}
    assert kept.keys() == {job.key, job.teacher}
    assert job not in pending(rows)
    assert other in pending(rows)


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
    assert "| adversarial | 1 | 1 | 0.50 | 0.50 | - |" in page
    assert "| gdfq | 0 | 0 | not measured | - | - |" in page
    assert "| adversarial | 1 | 89.50 | 0.50 | - | 12 | 1 |" in page
    assert "| noise | 1 | 60.00 | 30.00 | -30.00 [" in page
    assert "| gdfq | 0 | not measured | - | - | - | - |" in page


def test_the_mean_over_teachers_counts_each_once_and_the_most_lost_is_of_a_single_run():
    rows = [
        {**row("adversarial", quantized, seed), "teacher": teacher}
        for teacher, runs in (("cifar10_resnet20", (89.9, 89.7)), ("cifar10_resnet32", (90.1,)))
        for seed, quantized in enumerate(runs)
    ]
    assert "| adversarial | 2 | 3 | 0.05 | 0.30 | - |" in render(rows, {})


def test_the_queue_knows_what_is_measured_by_its_settings():
    done = {job.key: {"digest": job.digest()} for job in jobs()[:5]}
    assert pending(done) == jobs()[5:]
    done[jobs()[0].key]["digest"] = "of other settings"
    assert pending(done) == [jobs()[0], *jobs()[5:]]
    assert {job.choice for job in pending(done, ["noise"])} == {"noise"}


def test_a_choice_without_rows_is_named():
    with pytest.raises(typer.BadParameter, match="no rows of a choice 'nois'; did you mean"):
        main(choice=["nois"])


def test_marks_come_back_as_they_were(tmp_path):
    marks = {"a": np.arange(15) % 3 == 0, "b": np.ones(16, bool)}
    write_marks(tmp_path / "marks.npz", marks)
    back = read_marks(tmp_path / "marks.npz")
    assert back.keys() == marks.keys()
    assert all((back[name] == marks[name]).all() for name in marks)
    assert [path.name for path in tmp_path.iterdir()] == ["marks.npz"]


def test_eight_bits_are_run_by_the_recipe_as_it_is_and_fewer_with_what_the_page_says():
    plain = {"gdfq": SMALL, "adadfq": SMALL}
    for job in jobs():
        few = FEW_BITS.get(job.choice, {}) if job.weight_bits < 8 else {}
        given = job.config(Path("teachers")).quantize.overrides
        assert given == {**plain.get(job.choice, {}), **few}
    assert any(job.overrides == FEW_BITS["adversarial"] for job in jobs())


def test_choices_with_the_house_recipe_share_a_generator():
    settings = {
        job.choice: fresh_generator.STEP.settings(job.config(Path("teachers")), "")
        for job in jobs()
        if (job.teacher, job.weight_bits, job.seed) == ("cifar10_resnet20", 4, 0)
    }
    shared = [settings[name] for name in FEW_BITS]
    assert shared[0] == shared[1] == shared[2]
    assert settings["gdfq"] not in shared
