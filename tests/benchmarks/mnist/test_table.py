"""The MNIST bench without MNIST: its jobs, its common setting, its tables, its comparison."""

import json
from dataclasses import replace

import pytest
import torch
import typer

from benchmarks.mnist import __main__ as mnist
from benchmarks.mnist.common_setting import BATCH, common
from benchmarks.mnist.frechet import diversity, frechet_distance
from benchmarks.mnist.jobs import (
    ABLATION,
    MECHANISMS,
    PASSES,
    SEEDS,
    TEACHERS,
    VARIANTS,
    Job,
    jobs,
)
from benchmarks.mnist.tables import render
from benchmarks.speed.loop_overhead import Straight, engine
from dfkd.compatibility import FAMILIES
from dfkd.recipes import PUBLISHED
from dfkd.training.budget import for_teacher_passes, passes_per_round


def row(job, **changes):
    return {
        "key": job.key,
        "digest": job.digest(),
        "recipe": job.recipe,
        "setting": job.setting,
        "variant": job.variant,
        "teacher": job.teacher,
        "teacher_accuracy": 99.0,
        "seed": job.seed,
        **dict.fromkeys(("final", "mu", "deviation", "peak", "last10", "held_out"), 90.0),
        **dict.fromkeys(("passes", "images", "steps", "seconds", "memory_mb"), 1),
        "health": [],
        "machine": "a machine",
        **changes,
    }


def test_every_job_is_there_once_and_can_be_composed():
    every = jobs({})
    assert len({job.key for job in every}) == len(every)
    for job in every:
        job.composition()
    wanted = {(job.recipe, job.teacher, job.seed) for job in every if not job.variant}
    for recipe in PUBLISHED:
        assert {(recipe.name, "lenet5-bn", seed) for seed in SEEDS} <= wanted
    assert {variant for variants in MECHANISMS.values() for variant in variants} <= VARIANTS.keys()
    assert set(ABLATION) <= VARIANTS.keys()


def test_a_field_that_is_younger_than_the_rows_leaves_their_digests_alone(monkeypatch):
    job = jobs({})[0]
    before = job.digest()
    recipe = job.composition()
    other = replace(recipe, objective=replace(recipe.objective, stages=1.0))
    with monkeypatch.context() as patched:
        patched.setattr(Job, "composition", lambda _: other)
        assert job.digest() != before
    monkeypatch.setattr("benchmarks.mnist.jobs.LATER", ())
    assert job.digest() != before, "it is no field any more"


def test_teachers_are_described_as_they_are():
    for card in TEACHERS.values():
        assert card.batch_norm == FAMILIES[card.architecture].batch_norm


@pytest.mark.parametrize("recipe", PUBLISHED, ids=lambda recipe: recipe.name)
def test_the_common_setting_keeps_the_method_and_the_budget(recipe):
    same = common(recipe, PASSES)
    assert same.schedule.batch == BATCH
    assert same.terms == recipe.terms
    assert type(same.memory) is type(recipe.memory)
    assert (same.update, same.objective) == (recipe.update, recipe.objective)
    plan = for_teacher_passes(same, PASSES)
    spent = plan.warmup_rounds * passes_per_round(same, warm=True)
    spent += plan.rounds * passes_per_round(same, warm=False)
    assert 0.9 * PASSES < spent <= PASSES


def test_the_better_setting_is_chosen_on_held_out_images_alone():
    def pair(common_held_out, paper_held_out):
        return [
            row(Job("dafl", "common", "lenet5-bn", 0), held_out=common_held_out, final=10.0),
            row(Job("dafl", "paper", "lenet5-bn", 0), held_out=paper_held_out, final=99.0),
        ]

    assert mnist.chosen_settings(pair(95.0, 90.0)) == {"dafl": "common"}
    assert mnist.chosen_settings(pair(90.0, 95.0)) == {"dafl": "paper"}
    assert mnist.chosen_settings(pair(90.0, 95.0)[:1]) == {}


def test_the_better_setting_is_chosen_over_the_seeds_that_ran_at_both():
    def rows(**held_out):
        return [
            row(Job("dafl", setting, "lenet5-bn", seed), held_out=value)
            for setting, values in held_out.items()
            for seed, value in enumerate(values)
        ]

    assert mnist.chosen_settings(rows(common=[66.0, 90.0, 92.0], paper=[71.0])) == {"dafl": "paper"}
    two = rows(common=[66.0, 90.0, 92.0], paper=[71.0, 80.0])
    assert mnist.chosen_settings(two) == {"dafl": "common"}
    assert "| dafl | 2 | 78.00 / 90.00 | 75.50 / 90.00 | common |" in render(two, {})
    assert "| dafl | 3 | 82.67 / 90.00 | not measured | common |" in render(two[:3], {})


@pytest.mark.parametrize("name", ["gdfq", "dalf"])
def test_a_recipe_without_rows_is_named(name):
    with pytest.raises(typer.BadParameter, match=f"no rows of a recipe '{name}'; "):
        mnist.main(recipe=[name])


def test_the_queue_goes_on_where_it_stood(tmp_path):
    every = jobs({})
    done = [row(job) for job in every[:10]]
    left = mnist.pending(done, tmp_path)
    assert [job.key for job in left] == [job.key for job in every[10:]]
    of_two = mnist.pending(done, tmp_path, ["dafl", "house"])
    assert of_two == [job for job in left if job.recipe in ("dafl", "house")] != []
    without = mnist.pending(done, tmp_path / "nowhere")
    assert {job.teacher for job in left} - {job.teacher for job in without} == {
        "outside-lenet5",
        "cifar10-resnet20",
    }


def test_tables_say_what_is_not_measured_and_what_needs_batch_norm(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "RESULTS", tmp_path)
    mnist.keep([row(Job("house", "own", "lenet5", seed), final=90.0 + seed) for seed in SEEDS])
    text = (tmp_path / "mnist.md").read_text()
    assert "| house | own | 3 | 91.00 ± 0.82 |" in text
    assert "| ta-dfkd | needs batch norm |" in text
    assert "| dafl | not measured |" in text
    assert len(json.loads((tmp_path / "mnist.json").read_text())) == len(SEEDS)
    assert mnist.rows_so_far()[0]["recipe"] == "house"
    assert "not measured" in render([], {})


def test_a_cell_at_another_setting_than_the_chosen_one_says_so():
    common, paper = (Job("dafl", setting, "smoothed", 0) for setting in ("common", "paper"))
    rows = [row(common, final=91.0)]
    assert "| 91.00 |" in render(rows, {})
    assert "| 91.00 (common) |" in render(rows, {"dafl": "paper"})
    on_main = [row(Job("mad", "common", "lenet5", seed), final=50.0) for seed in SEEDS]
    assert "| mad | common | 3 | 50.00 ± 0.00 |" in render(on_main, {"mad": "paper"})
    on_cifar = [row(Job("dfq-akd", "common", "cifar10-resnet20", 0), final=11.0)]
    assert "| dfq-akd | common | 11.00 |" in render(on_cifar, {"dfq-akd": "paper"})
    both = render([*rows, row(paper, final=92.0)], {"dafl": "paper"})
    assert "| 92.00 |" in both and "91.00" not in both


@pytest.mark.parametrize("teacher", ["lenet5", "lenet5-bn"])
def test_the_straight_line_script_does_the_same_arithmetic(teacher):
    """Otherwise the overhead would compare two different things."""
    rounds = 2
    loop, straight = engine(0, teacher, rounds), Straight(0, teacher, rounds)
    loop.run()
    for _ in range(rounds):
        straight.one_round()
    for ours, theirs in zip(
        loop.student.state_dict().values(), straight.student.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


class TestFrechet:
    teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))

    def test_zero_for_the_same_images(self):
        images = torch.randn(200, 1, 2, 2)
        assert frechet_distance(self.teacher, images, images) == pytest.approx(0, abs=1e-6)

    def test_squared_distance_of_the_means_when_only_they_differ(self):
        images = torch.randn(200, 1, 2, 2)
        distance = frechet_distance(self.teacher, images + 3, images)
        assert distance == pytest.approx(4 * 9, rel=1e-5)

    def test_the_closed_form_for_another_scale(self):
        """tr(C + 4 C - 2 (4 C^2)^(1/2)) = tr(C)."""
        images = torch.randn(300, 1, 2, 2)
        images -= images.mean(0)
        expected = images.flatten(1).double().T.cov().trace().item()
        assert frechet_distance(self.teacher, 2 * images, images) == pytest.approx(
            expected, rel=1e-5
        )

    def test_diversity_by_brute_force(self):
        images = torch.randn(20, 1, 2, 2)
        rows = images.flatten(1).double()
        pairs = torch.cdist(rows, rows).square().sum() / (20 * 19)
        assert diversity(self.teacher, images) == pytest.approx(pairs.sqrt().item(), rel=1e-6)
