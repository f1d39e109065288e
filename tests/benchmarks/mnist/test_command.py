"""The command that measures the MNIST table: chosen settings, missing rows, refusals."""

import json
import shutil
from pathlib import Path

import pytest
import typer

from benchmarks import result_pages
from benchmarks.mnist import __main__ as mnist
from benchmarks.mnist.jobs import SEEDS, Job, jobs
from benchmarks.mnist.page import render
from tests.benchmarks.mnist.rows import build_row


def test_setting_is_chosen_on_held_out_images_only():
    def pair(common_held_out, paper_held_out):
        return [
            build_row(Job("dafl", "common", "lenet5-bn", 0), held_out=common_held_out, final=10.0),
            build_row(Job("dafl", "paper", "lenet5-bn", 0), held_out=paper_held_out, final=99.0),
        ]

    assert mnist.choose_settings(pair(95.0, 90.0)) == {"dafl": "common"}
    assert mnist.choose_settings(pair(90.0, 95.0)) == {"dafl": "paper"}
    assert mnist.choose_settings(pair(90.0, 95.0)[:1]) == {}


def test_setting_is_chosen_over_the_seeds_that_ran_at_both():
    def rows(**held_out):
        return [
            build_row(Job("dafl", setting, "lenet5-bn", seed), held_out=value)
            for setting, values in held_out.items()
            for seed, value in enumerate(values)
        ]

    one_shared = rows(common=[66.0, 90.0, 92.0], paper=[71.0])
    assert mnist.choose_settings(one_shared) == {"dafl": "paper"}
    two_shared = rows(common=[66.0, 90.0, 92.0], paper=[71.0, 80.0])
    assert mnist.choose_settings(two_shared) == {"dafl": "common"}
    assert "| dafl | 2 | 78.00 / 90.00 | 75.50 / 90.00 | common |" in render(two_shared, {})
    assert "| dafl | 3 | 82.67 / 90.00 | not measured | common |" in render(two_shared[:3], {})


@pytest.mark.parametrize("name", ["gdfq", "dalf"])
def test_recipe_without_rows_is_refused(name):
    with pytest.raises(typer.BadParameter, match=f"no row has the recipe '{name}'; "):
        mnist.main(recipe=[name])


def test_pending_jobs_are_those_without_a_valid_row(tmp_path):
    every = jobs({})
    measured = [build_row(job) for job in every[:10]]
    left = mnist.pending(measured, tmp_path)
    assert [job.key for job in left] == [job.key for job in every[10:]]
    of_two = mnist.pending(measured, tmp_path, ["dafl", "house"])
    assert of_two == [job for job in left if job.recipe in ("dafl", "house")] != []


def test_pending_jobs_exclude_missing_external_teachers(tmp_path):
    left = mnist.pending([], tmp_path)
    without = mnist.pending([], tmp_path / "nowhere")
    assert {job.teacher for job in left} - {job.teacher for job in without} == {
        "outside-lenet5",
        "cifar10-resnet20",
    }


def test_list_shows_missing_jobs_and_runs_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path)
    every = jobs({})
    (tmp_path / "mnist.json").write_text(json.dumps([build_row(job) for job in every[2:]]))
    mnist.main(list_only=True)
    total = len(every)
    expected = [every[0].key, every[1].key, f"{total - 2} of {total} done"]
    assert capsys.readouterr().out.splitlines() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.json"]


def test_write_rows_writes_rows_and_page(tmp_path, monkeypatch):
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path)
    monkeypatch.setattr(mnist, "DEFAULTS_FILE", Path(shutil.copy(mnist.DEFAULTS_FILE, tmp_path)))
    rows = [build_row(Job("house", "own", "lenet5", s), final=90.0 + s) for s in SEEDS]
    mnist.write_rows(rows)
    assert "| house | own | 3 | 91.00 ± 0.82 |" in (tmp_path / "mnist.md").read_text()
    assert len(json.loads((tmp_path / "mnist.json").read_text())) == len(SEEDS)
    assert mnist.read_rows()[0]["recipe"] == "house"
