"""Settings of a recipe can be overridden by name; invalid overrides are refused."""

from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfkd.composition import GeneratorNetwork, ImagePool, MetaStep, Schedule, SoftKl, Term
from dfkd.models.generator_layers import HEADS, TRUNKS
from dfkd.recipe import Recipe, RecipeError
from dfkd.recipes import RECIPES
from dfkd.recipes.held_out import HELD_OUT
from dfkd.recipes.house import HOUSE
from dfkd.settings import SETTINGS
from dfkd.student_loss import OBJECTIVES
from dfkd.terms import TERMS

EVERY = [*RECIPES.values(), HELD_OUT]


@pytest.mark.parametrize("recipe", EVERY, ids=lambda r: r.name)
def test_every_part_of_a_recipe_exists(recipe):
    assert {term.name for term in recipe.terms} <= TERMS.keys()
    network = getattr(recipe.synthesizer, "network", GeneratorNetwork())
    assert network.trunk in TRUNKS
    assert network.head in HEADS
    assert type(recipe.objective) in OBJECTIVES
    assert recipe.citation


def test_held_out_generator_differs_from_the_house_generator():
    ours, theirs = HELD_OUT.synthesizer, HOUSE.synthesizer
    assert ours.network.trunk != theirs.network.trunk
    assert bool(ours.conditioning) != bool(theirs.conditioning)


def test_overrides_reach_schedule_optimizers_terms_and_sizes():
    changed = HOUSE.overridden({"batch": 32, "student_lr": 0.5, "adversary": 2, "memory": 64})
    assert changed.schedule.batch == 32
    assert changed.student.lr == 0.5
    assert changed.memory.capacity == 64
    assert {t.name: t.weight for t in changed.terms}["adversary"] == 2.0
    assert HOUSE.schedule.batch == 128
    assert HOUSE.memory.capacity == 20_000


def test_several_settings_of_one_part_can_be_overridden():
    changed = HOUSE.overridden({"batch": 32, "student_steps": 7, "width": 8, "latent": 16})
    assert (changed.schedule.batch, changed.schedule.student_steps) == (32, 7)
    assert (changed.synthesizer.network.width, changed.synthesizer.network.latent) == (8, 16)


def changed_paths(before, after, path=()):
    """The paths of attributes that differ between two recipes."""
    if not is_dataclass(before):
        return {path} if before != after else set()
    return {
        found
        for one in fields(before)
        for found in changed_paths(
            getattr(before, one.name), getattr(after, one.name), (*path, one.name)
        )
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_overriding_a_setting_changes_its_attribute_and_nothing_else(name):
    plain = Recipe(
        "of the test",
        "none",
        terms=(Term("certainty", 1.0),),
        memory=ImagePool(capacity=512),
        schedule=Schedule(batch=16, student_steps=3, rounds=5),
    )
    recipe = RECIPES["cmi"] if name == "inner_steps" else plain
    recipe = RECIPES["lra"] if name == "inner_lr" else recipe
    recipe = RECIPES["mb-dfkd"] if name == "rounds" else recipe
    setting = SETTINGS[name]
    value = 2 if name == "fresh_batches" else setting.value(recipe) + 1
    changed = recipe.overridden({name: value})
    assert setting.value(changed) == value
    assert changed_paths(recipe, changed) == {setting.path}


def test_settings_have_the_documented_names():
    assert set(SETTINGS) == {
        "batch",
        "generator_steps",
        "fresh_batches",
        "procedural_batches",
        "student_steps",
        "warmup_rounds",
        "rounds",
        "generator_lr",
        "student_lr",
        "latent",
        "width",
        "inner_steps",
        "memory",
        "replay_share",
        "temperature",
        "attention",
        "stages",
        "inner_lr",
    }


def test_no_term_has_the_name_of_a_setting():
    assert not set(SETTINGS) & (TERMS.keys())


@pytest.mark.parametrize("recipe", EVERY, ids=lambda r: r.name)
def test_settings_and_idle_cover_all_overrides(recipe):
    assert set(recipe.settings) | set(recipe.idle) == {*SETTINGS, *(t.name for t in recipe.terms)}
    assert not set(recipe.settings) & set(recipe.idle)
    assert recipe.overridden(recipe.settings) == recipe


@pytest.mark.parametrize(
    ("name", "setting", "reason"),
    [
        ("house", "inner_lr", "no meta step"),
        ("dfad", "rounds", "the budget sets the length"),
        ("house", "inner_steps", "set generator_steps instead"),
        ("dafl", "memory", "memory stores no images"),
        ("dafl", "replay_share", "the recipe has no memory"),
        ("mad", "memory", "memory stores no images"),
        ("pre-dfkd", "memory", "memory stores no images"),
        ("deepinversion", "latent", "without a generator"),
        ("zskd", "width", "without a generator"),
        ("dfad", "temperature", "LogitL1 has no temperature"),
    ],
)
def test_overriding_an_unused_setting_is_an_error(name, setting, reason):
    with pytest.raises(RecipeError, match=f"{setting} has no effect: .*{reason}"):
        RECIPES[name].overridden({setting: 1})


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("lra", {"inner_lr", "replay_share"}),
        ("rdskd", {"rounds", "warmup_rounds"}),
        ("cmi", {"inner_steps", "latent", "width", "memory"}),
        ("mb-dfkd", {"memory", "replay_share", "rounds"}),
    ],
)
def test_used_settings_are_not_idle(name, used):
    assert used <= RECIPES[name].settings.keys()


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"bach": 3}, "bach"),
        ({"frozen_norms": 1}, "has no setting 'frozen_norms'"),
        ({"activation": 1.0}, "has no setting 'activation'"),
        ({"batch": 1.5}, "whole number"),
        ({"student_lr": -1.0}, "at least 0"),
        ({"generator_lr": float("nan")}, "at least 0"),
        ({"adversary": float("inf")}, "at least 0"),
        ({"adversary": -1.0}, "adversary must be a number of at least 0"),
        ({"memory": float("inf")}, "at least 0"),
        ({"memory": 64.5}, "whole number"),
        ({"batch": 0}, "at least 1"),
        ({"rounds": 0}, "at least 1"),
        ({"latent": 0}, "at least 1"),
        ({"width": 0}, "at least 1"),
        ({"inner_steps": 0}, "at least 1"),
        ({"student_steps": 0, "fresh_batches": 0}, "at least 1"),
        ({"generator_steps": 0}, "term adversary needs a student"),
        ({"inner_steps": 2}, "set generator_steps instead"),
        ({"memory": 5}, "smaller than a batch"),
        ({"memory": 0}, "smaller than a batch"),
        ({"replay_share": 0.001}, "less than one image"),
        ({"fresh_batches": 50}, "would not be used"),
        ({"fresh_batches": 0}, "never see the generator's images"),
        ({"temperature": 0.0}, "temperature"),
    ],
)
def test_invalid_overrides_are_refused_with_the_reason(overrides, reason):
    with pytest.raises(RecipeError, match=reason):
        HOUSE.overridden(overrides)


@pytest.mark.parametrize(
    ("name", "overrides", "reason"),
    [
        ("dfad", {"fresh_batches": 3}, "without memory every student step needs a fresh batch"),
        ("dfad", {"memory": 64, "fresh_batches": 3}, "without memory"),
        ("dafl", {"generator_steps": 0, "warmup_rounds": 5}, "needs a generator step"),
        ("zskt", {"fresh_batches": 2}, "one batch for the whole round"),
        ("mad", {"fresh_batches": 0}, "never see the generator's images"),
        ("lra", {"fresh_batches": 5}, "MetaStep needs fresh images in every student step"),
        ("mb-dfkd", {"memory": 0}, "must hold at least one batch"),
        ("cmi", {"fresh_batches": 1}, "set fresh_batches to 0"),
        ("rdskd", {"warmup_rounds": 0}, "would never"),
        ("zskd", {"warmup_rounds": 0}, "never"),
        ("deepinversion", {"warmup_rounds": 0}, "never"),
        ("dfad", {"warmup_rounds": 5}, "warm-up"),
        ("zskt", {"warmup_rounds": 5}, "warm-up"),
    ],
)
def test_overrides_that_do_not_suit_a_recipe_are_refused_with_the_reason(name, overrides, reason):
    with pytest.raises(RecipeError, match=reason):
        RECIPES[name].overridden(overrides)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*SETTINGS, *(t.name for t in HOUSE.terms)]),
        st.one_of(st.integers(-2, 300), st.floats(-2, 300)),
        max_size=4,
    )
)
def test_override_is_applied_completely_or_refused(overrides):
    try:
        changed = HOUSE.overridden(overrides)
    except RecipeError:
        return
    for name, value in overrides.items():
        if name in SETTINGS:
            found = SETTINGS[name].value(changed)
            assert isinstance(found, type(SETTINGS[name].value(HOUSE)))
        else:
            found = {t.name: t.weight for t in changed.terms}[name]
        assert found == value


def test_whole_number_given_as_float_becomes_int():
    changed = HOUSE.overridden({"batch": 32.0})
    assert changed.schedule.batch == 32
    assert isinstance(changed.schedule.batch, int)


def test_recipe_without_memory_is_valid_if_every_step_has_a_fresh_batch():
    schedule = Schedule(fresh_batches=20, student_steps=20)
    Recipe("plain", "none", terms=(Term("certainty", 1.0),), schedule=schedule)


def test_recipe_is_validated_on_construction_and_replacement():
    with pytest.raises(RecipeError, match="update MetaStep needs replayed images"):
        Recipe("wrong", "none", terms=(Term("certainty", 1.0),), update=MetaStep())
    with pytest.raises(RecipeError, match="update MetaStep needs fresh images"):
        replace(HOUSE, update=MetaStep())
    with pytest.raises(RecipeError, match="attention"):
        replace(RECIPES["lra"], objective=SoftKl(attention=1.0))


def test_recipe_is_immutable():
    for part in ("schedule", "memory", "synthesizer", "student"):
        name = fields(getattr(HOUSE, part))[0].name
        with pytest.raises(AttributeError):
            setattr(getattr(HOUSE, part), name, 1)
    with pytest.raises(AttributeError):
        HOUSE.name = "another"
