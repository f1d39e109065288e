"""The limit of the batch for large images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfkd.recipes import RECIPES
from pipeline.config.batch_limit import (
    MAX_PIXELS,
    MIN_BATCH,
    limited_batch,
    with_limited_batch,
)
from pipeline.config.chosen_recipes import (
    distilling_recipe,
    fine_tuning_recipe,
    fresh_generator_recipe,
    held_out_recipe,
    zeroq_recipe,
)
from pipeline.config.run_file import parse_run
from tests.support.quick_run import QUICK

SIDES = st.integers(1, 1024)


def config(side, *, channels=3, **sections):
    images = {"shape": [channels, side, side], "mean": [0.5] * channels, "std": [0.5] * channels}
    quick = {name: QUICK[name] for name in ("name", "teacher", "student")}
    return parse_run({**quick, "input": images, **sections}, "run.yaml")


@pytest.mark.parametrize(
    ("batch", "side", "passes", "expected"),
    [
        (1024, 28, 1, 1024),
        (1024, 32, 2, 1024),
        (1024, 33, 1, 368),
        (128, 64, 1, 98),
        (128, 64, 2, 49),
        (64, 96, 1, 43),
        (64, 128, 1, 24),
        (64, 224, 1, 8),
        (64, 224, 2, 4),
        (64, 512, 1, 4),
        (3, 512, 1, 3),
    ],
)
def test_batch_has_at_most_the_pixels_of_8_images_of_224(batch, side, passes, expected):
    assert limited_batch(batch, (3, side, side), passes) == expected


@given(st.integers(1, 2048), SIDES, SIDES)
def test_limit_never_raises_a_batch_and_keeps_a_few_images(batch, height, width):
    limited = limited_batch(batch, (3, height, width))
    assert min(batch, MIN_BATCH) <= limited <= batch
    if limited < batch:
        assert limited == MIN_BATCH or limited * height * width <= MAX_PIXELS
    assert limited_batch(batch, (3, height + 1, width)) <= limited


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_keep_their_batch_for_small_images_and_stay_valid_for_large_ones(name):
    recipe = RECIPES[name]
    for side in (28, 32):
        assert with_limited_batch(recipe, (3, side, side), student=True) == recipe
    large = with_limited_batch(recipe, (3, 224, 224), student=True)
    assert (
        MIN_BATCH
        <= large.schedule.batch
        <= (16 if large.memory and large.memory.share < 0.2 else 4)
    )
    assert large.replayed >= 2 or not recipe.memory


def test_every_stage_of_a_run_has_a_limited_batch():
    large = config(224, distill={"recipe": "dafl"})
    stages = (distilling_recipe, fine_tuning_recipe, fresh_generator_recipe, held_out_recipe)
    assert [stage(large).schedule.batch for stage in stages] == [4, 4, 8, 8]
    small = config(32)
    assert [stage(small).schedule.batch for stage in stages] == [128, 64, 64, 64]


def test_batch_of_the_run_file_is_not_limited():
    chosen = {"overrides": {"batch": 96}}
    large = config(224, distill=chosen, quantize={**chosen, "method": "fresh"})
    assert distilling_recipe(large).schedule.batch == 96
    assert fine_tuning_recipe(large).schedule.batch == 96
    assert fresh_generator_recipe(large).schedule.batch == 96
    assert held_out_recipe(large).schedule.batch == 8


def test_budget_in_steps_stays_and_budget_in_images_becomes_more_steps():
    large = config(224, distill={"budget": {"images": 1_280}})
    assert large.distill.budget.student_steps(distilling_recipe(large).schedule.batch) == 320
    assert config(224).distill.budget.student_steps(4) == 16_000


@pytest.mark.parametrize(("side", "batch", "rounds"), [(32, 64, 1), (128, 24, 3), (224, 8, 8)])
def test_zeroq_makes_as_many_images_in_smaller_batches(side, batch, rounds):
    recipe = zeroq_recipe(config(side))
    assert (recipe.schedule.batch, recipe.schedule.warmup_rounds) == (batch, rounds)


@pytest.mark.parametrize(("side", "reduction"), [(28, 1), (112, 1), (113, 2), (224, 2)])
def test_held_out_generator_draws_large_images_at_half_the_size(side, reduction):
    assert held_out_recipe(config(side)).synthesizer.network.reduction == reduction
