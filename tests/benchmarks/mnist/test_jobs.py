"""The jobs of the MNIST table, and the setting that the published recipes share."""

import pytest

from benchmarks.mnist.common_setting import BATCH, common
from benchmarks.mnist.jobs import ABLATION, MECHANISMS, PASSES, SEEDS, jobs
from benchmarks.mnist.teachers import TEACHERS
from benchmarks.mnist.variants import VARIANTS
from dfkd.models import ARCHITECTURES
from dfkd.recipes import PUBLISHED
from dfkd.training.budget import for_teacher_passes, passes_per_round


def test_jobs_are_unique_and_every_recipe_can_be_built():
    every = jobs({})
    assert len({job.key for job in every}) == len(every)
    for job in every:
        job.build_recipe()


def test_jobs_cover_every_published_recipe_and_seed():
    covered = {(job.recipe, job.teacher, job.seed) for job in jobs({}) if not job.variant}
    for recipe in PUBLISHED:
        assert {(recipe.name, "lenet5-bn", seed) for seed in SEEDS} <= covered


def test_variants_of_all_tables_exist():
    assert {variant for variants in MECHANISMS.values() for variant in variants} <= VARIANTS.keys()
    assert set(ABLATION) <= VARIANTS.keys()


def test_teacher_cards_state_batch_norm_correctly():
    for card in TEACHERS.values():
        assert card.batch_norm == ARCHITECTURES[card.architecture].batch_norm


@pytest.mark.parametrize("recipe", PUBLISHED, ids=lambda recipe: recipe.name)
def test_common_setting_keeps_the_method_and_the_budget(recipe):
    same = common(recipe, PASSES)
    assert same.schedule.batch == BATCH
    assert same.terms == recipe.terms
    assert type(same.memory) is type(recipe.memory)
    assert (same.update, same.objective) == (recipe.update, recipe.objective)
    plan = for_teacher_passes(same, PASSES)
    spent = plan.warmup_rounds * passes_per_round(same, warm=True)
    spent += plan.rounds * passes_per_round(same, warm=False)
    assert 0.9 * PASSES < spent <= PASSES
