"""Plans cost as many teacher passes as a loop counts."""

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dfkd.composition import AverageGenerator, BatchBank, SoftKl, VaeReplay
from dfkd.recipes import RECIPES
from dfkd.terms import ADVERSARIES
from dfkd.training.budget import (
    Plan,
    for_student_steps,
    for_teacher_passes,
    passes_per_round,
    student_images_per_round,
)
from tests.support.tiny import SMALL, make_loop, one_of_each_kind_quick, shrunk

PASSES_OF_AN_EMPTY_VAE = 7
"""Per replayed image: recalling it costs 4, learning from it 3."""


def cost(recipe, plan):
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    return plan.warmup_rounds * warm + plan.rounds * main


def runnable(recipe, warmup, rounds):
    able = not {term.name for term in recipe.terms} <= ADVERSARIES
    needed = recipe.schedule.generator_steps == 0 or recipe.schedule.warmup_rounds > 0
    return Plan(warmup if able and needed else 0, rounds, 0.01)


@pytest.mark.parametrize("name", one_of_each_kind_quick(RECIPES))
def test_loop_counts_the_passes_of_its_plan(name):
    recipe = shrunk(RECIPES[name])
    plan = runnable(recipe, 1, 2)
    loop = make_loop(recipe, plan)
    loop.run()
    missing = 0
    if isinstance(recipe.memory, VaeReplay):
        # In its first step the autoencoder has no samples of its own.
        missing = PASSES_OF_AN_EMPTY_VAE * recipe.replayed
    assert loop.counts.teacher_passes == cost(recipe, plan) - missing
    assert loop.counts.student_steps == 2 * recipe.schedule.student_steps


def small(**changes):
    return replace(SMALL, **changes)


CHANGED = {
    "several generator steps": SMALL.overridden({"generator_steps": 3}),
    "as many fresh batches as steps": SMALL.overridden({"fresh_batches": 3}),
    "procedural batches": SMALL.overridden({"procedural_batches": 1}),
    "a bank": small(memory=BatchBank(capacity=2, share=0.5)),
    "an average generator": small(memory=AverageGenerator(share=0.5)),
    "a VAE": small(memory=VaeReplay(latent=8, share=0.5, steps=2)),
    "a VAE that learns in more steps than there are fresh batches": small(
        memory=VaeReplay(latent=8, share=0.5, steps=3)
    ),
    "the same latents": small(
        schedule=replace(SMALL.schedule, fresh="same-latents", fresh_batches=1)
    ),
    "the generator's batch": small(
        schedule=replace(SMALL.schedule, fresh="generator-batch", fresh_batches=1)
    ),
    "shifted images": small(synthesizer=replace(SMALL.synthesizer, augment="roll")),
    "two views": small(synthesizer=replace(SMALL.synthesizer, augment="two-views")),
    "selection": small(selection="clean-mixture"),
    "attention maps of what is replayed": small(objective=SoftKl(attention=1.0)),
    "attention maps of what an average generator draws": small(
        objective=SoftKl(attention=1.0), memory=AverageGenerator(share=0.5)
    ),
    "a soft share that rounds": small(memory=AverageGenerator(share=0.3)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_loop_counts_the_passes_of_a_changed_recipe(name):
    recipe, plan = CHANGED[name], Plan(1, 2)
    loop = make_loop(recipe, plan)
    loop.run()
    missing = 0
    if isinstance(recipe.memory, VaeReplay):
        missing = PASSES_OF_AN_EMPTY_VAE * recipe.replayed
    assert loop.counts.teacher_passes == cost(recipe, plan) - missing


def test_passes_per_round_by_hand():
    # One generator step of 8 images, forward and backward; two new batches, forward only.
    assert passes_per_round(SMALL, warm=False) == 3 * 8 + 2 * 8
    assert passes_per_round(SMALL, warm=True) == 3 * 8
    # 200 steps on two views of 256 images, then one pass without gradient.
    assert passes_per_round(RECIPES["cmi"], warm=False) == 200 * 3 * 2 * 256 + 256
    # 30 steps on 400 images and one pass without gradient; two batches in a round, one in warm-up.
    assert passes_per_round(RECIPES["nayer"], warm=True) == 30 * 3 * 400 + 400
    assert passes_per_round(RECIPES["nayer"], warm=False) == 2 * (30 * 3 * 400 + 400)
    # Everything is made in the warm-up.
    assert passes_per_round(RECIPES["zskd"], warm=False) == 0
    # DAFL's student uses the teacher's logits of the generator step.
    assert passes_per_round(RECIPES["dafl"], warm=False) == 3 * 512
    # PRE-DFKD: 1024 by 3, ten fresh batches; ten samples of 128 images, four for the VAE, each
    # with a tuning step and one more pass; the VAE's step on 512 new images and 128 samples.
    expected = 3 * 1024 + 10 * 1024 + 14 * 4 * 128 + 4 * 3 * (512 + 128)
    assert passes_per_round(RECIPES["pre-dfkd"], warm=False) == expected


@pytest.mark.parametrize("name", ["house", "house-quantize", "dafl", "cmi", "zskt", "de-dfkd"])
def test_student_sees_as_many_images_as_counted(name):
    recipe = shrunk(RECIPES[name])
    loop = make_loop(recipe, runnable(recipe, 1, 2))
    seen = []

    def count(_, args, __):
        if torch.is_grad_enabled():
            seen.append(len(args[0]))

    loop.student.register_forward_hook(count)
    loop.run()
    assert sum(seen) == 2 * student_images_per_round(recipe)


def test_student_images_per_round_by_hand():
    # Five steps with 64 replayed images, two of them with 64 new ones; one adversarial step.
    assert student_images_per_round(RECIPES["house-quantize"]) == 5 * 64 + 2 * 64 + 64
    # One step on the generator's batch, without memory or adversary.
    assert student_images_per_round(RECIPES["dafl"]) == 512


@pytest.mark.parametrize("name", RECIPES)
@settings(deadline=None)
@example(1_200_000)
@given(st.integers(0, 10**10))
def test_plan_for_teacher_passes_uses_the_budget_without_exceeding_it(name, more):
    recipe = RECIPES[name]
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    schedule = recipe.schedule
    # The smallest budget with one round of each kind.
    published = schedule.warmup_rounds * warm + schedule.rounds * main
    least_rounds = min(count for count in (schedule.warmup_rounds, schedule.rounds) if count)
    budget = -(-published // least_rounds) + more
    plan = for_teacher_passes(recipe, budget)
    assert plan.rounds >= 1
    assert (plan.warmup_rounds >= 1) == (schedule.warmup_rounds >= 1)
    assert cost(recipe, plan) <= budget
    assert cost(recipe, plan) + warm * bool(schedule.warmup_rounds) + main > budget


# In RDSKD a small budget's share of the warm-up is less than one round.
@pytest.mark.parametrize("name", RECIPES)
def test_smallest_possible_budget_is_not_exceeded(name):
    recipe = RECIPES[name]
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    least = warm * bool(recipe.schedule.warmup_rounds) + main
    for budget in (least, 3 * least, 10 * least, 100 * least, 1000 * least):
        assert cost(recipe, for_teacher_passes(recipe, budget)) <= budget


SLOW = ("pre-dfkd", "mad", "dfad")


@pytest.mark.parametrize(
    "name",
    ["house", "cmi", "zskd", "nayer", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)],
)
def test_loop_with_a_plan_for_teacher_passes_stays_within_the_budget(name):
    recipe = shrunk(RECIPES[name])
    recipe = replace(
        recipe,
        schedule=replace(
            recipe.schedule, rounds=10, warmup_rounds=5 if recipe.schedule.warmup_rounds else 0
        ),
    )
    whole = cost(recipe, Plan(recipe.schedule.warmup_rounds, 10))
    budget = whole * 3 // 10 + 1
    plan = for_teacher_passes(recipe, budget)
    loop = make_loop(recipe, plan)
    loop.run()
    assert plan.rounds == 3
    assert plan.stretch == pytest.approx(0.3, abs=0.01)
    assert 0 < loop.counts.teacher_passes <= budget


def test_published_passes_give_the_published_plan():
    for recipe in RECIPES.values():
        schedule = recipe.schedule
        published = Plan(schedule.warmup_rounds, schedule.rounds, 1.0)
        assert for_teacher_passes(recipe, cost(recipe, published)) == published
        steps = schedule.rounds * schedule.student_steps
        assert for_student_steps(recipe, steps) == published


@pytest.mark.parametrize("name", RECIPES)
@settings(deadline=None)
@given(st.integers(1, 10**9))
def test_plan_for_student_steps_exceeds_them_by_less_than_a_round(name, steps):
    recipe = RECIPES[name]
    plan = for_student_steps(recipe, steps)
    reached = plan.rounds * recipe.schedule.student_steps
    assert steps <= reached < steps + recipe.schedule.student_steps
    share = recipe.schedule.warmup_rounds * plan.rounds / recipe.schedule.rounds
    # Rounded down, but a recipe with a warm-up has at least one round of it.
    least_rounds = 1 if recipe.schedule.warmup_rounds else 0
    assert max(least_rounds, share - 1) <= plan.warmup_rounds <= max(least_rounds, share)


@pytest.mark.parametrize("name", one_of_each_kind_quick(RECIPES))
def test_loop_with_a_plan_for_student_steps_takes_the_steps(name):
    recipe = shrunk(
        RECIPES[name], rounds=5, warmup_rounds=RECIPES[name].schedule.warmup_rounds and 4
    )
    plan = for_student_steps(recipe, 7)
    loop = make_loop(recipe, plan)
    loop.run()
    assert 7 <= loop.counts.student_steps < 7 + recipe.schedule.student_steps


# Without a warm-up no image would be made, or the generator would stay untrained.
@pytest.mark.parametrize("name", [n for n, r in RECIPES.items() if r.schedule.generator_steps == 0])
@pytest.mark.parametrize("steps", [1, 10, 100])
def test_short_run_keeps_at_least_one_warm_up_round(name, steps):
    assert for_student_steps(RECIPES[name], steps).warmup_rounds >= 1
