import pytest

from dfkd.objectives import OBJECTIVES
from dfkd.recipe import Recipe, RecipeError, Schedule, Term
from dfkd.recipes import HELD_OUT, HOUSE, RECIPES


@pytest.mark.parametrize("recipe", [*RECIPES.values(), HELD_OUT], ids=lambda r: r.name)
def test_every_part_a_recipe_names_exists(recipe):
    from dfkd.models.generators import GENERATORS
    from dfkd.terms import TERMS

    assert {term.name for term in recipe.terms} <= TERMS.keys()
    assert recipe.generator in GENERATORS
    assert recipe.objective in OBJECTIVES
    assert recipe.citation


def test_the_probes_come_from_another_architecture_than_the_lessons():
    assert HELD_OUT.generator != HOUSE.generator
    assert HELD_OUT.conditional != HOUSE.conditional


def test_overrides_reach_schedule_terms_and_sizes():
    changed = HOUSE.overridden({"batch": 32, "student_lr": 0.5, "adversary": 2, "memory": 64})
    assert changed.schedule.batch == 32
    assert changed.schedule.student_lr == 0.5
    assert changed.memory == 64
    assert {t.name: t.weight for t in changed.terms}["adversary"] == 2.0
    assert HOUSE.schedule.batch == 128


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"bach": 3}, "bach"),
        ({"batch": 1.5}, "whole number"),
        ({"student_lr": -1.0}, "at least 0"),
        ({"generator_lr": float("nan")}, "at least 0"),
        ({"adversary": float("inf")}, "at least 0"),
        ({"memory": float("inf")}, "at least 0"),
        ({"batch": 0}, "at least 1"),
        ({"generator_steps": 0}, "at least 1"),
        ({"student_steps": 0, "fresh_batches": 0}, "at least 1"),
        ({"width": 0}, "at least 1"),
        ({"memory": 5}, "smaller than a batch"),
        ({"fresh_batches": 50}, "nobody learns from"),
        ({"memory": 0}, "without memory"),
    ],
)
def test_senseless_overrides_are_refused_with_the_reason(overrides, reason):
    with pytest.raises(RecipeError, match=reason):
        HOUSE.overridden(overrides)


def test_no_memory_is_fine_when_every_step_has_a_fresh_batch():
    Recipe("plain", "none", (Term("certainty", 1.0),), schedule=Schedule(fresh_batches=20))
