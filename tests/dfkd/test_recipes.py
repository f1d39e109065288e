"""The recipes against the published values, which are typed independently in `published.py`."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import get_args

import pytest
import torch

import dfkd.recipes
from dfkd.composition import BatchBank, PixelOptimization, Sgd, Term, VaeReplay
from dfkd.recipe import Role
from dfkd.recipes import (
    EVERY_RECIPE,
    FOR_QUANTIZATION,
    OTHER_DATA,
    PUBLISHED,
    RECIPES,
    with_role,
)
from dfkd.recipes.held_out import HELD_OUT
from dfkd.recipes.house import HOUSE
from dfkd.recipes.house_quantize import HOUSE_QUANTIZE
from dfkd.recipes.zeroq import ZEROQ
from dfkd.terms import ADVERSARIES
from dfkd.training.budget import Plan
from tests.support.published import KNOWN
from tests.support.tiny import make_loop, shrunk, weights

UNVERIFIED = (
    "rdskd",
    "pre-dfkd",
    "mb-dfkd",
    "ta-dfkd",
    "lra",
    "de-dfkd",
    "mad",
    "nayer",
    "zskd",
    "dfq-akd",
    "deepinversion",
    "adi",
)
"""Methods with details that could not be read, or that are not published."""


def attribute(recipe, path):
    value = recipe
    for name in path.split("."):
        value = getattr(value, name)
    return value


def class_of(part):
    return None if part is None else type(part)


def agrees(found, known):
    return known is None or found == known


def test_checked_methods_have_a_published_recipe():
    published = {recipe.name for recipe in (*PUBLISHED, *OTHER_DATA, *FOR_QUANTIZATION)}
    assert published >= KNOWN.keys()


def test_collections_hold_each_recipe_once_in_alphabetical_order():
    roles = [with_role(role) for role in get_args(Role)]
    names = [recipe.name for recipes in roles for recipe in recipes]
    assert sorted(names) == list(EVERY_RECIPE)
    assert all(recipe.name == name for name, recipe in EVERY_RECIPE.items())
    for recipes in roles:
        assert [recipe.name for recipe in recipes] == sorted(recipe.name for recipe in recipes)
    assert EVERY_RECIPE.keys() - RECIPES.keys() == {HELD_OUT.name, ZEROQ.name}
    assert {recipe.name for recipe in with_role("own")} >= {HOUSE.name, HOUSE_QUANTIZE.name}


RECIPE_FILE = """
from dataclasses import replace
from dfkd.recipes.house import HOUSE
ADDED = replace(HOUSE, name="{name}", notes=("added",))
"""


@pytest.fixture
def added_file(tmp_path, monkeypatch):
    """Return a function that adds a recipe file, in a folder beside dfkd/recipes."""
    monkeypatch.setattr(dfkd.recipes, "__path__", [*dfkd.recipes.__path__, str(tmp_path)])

    def add(name):
        (tmp_path / "added_by_a_test.py").write_text(RECIPE_FILE.format(name=name))

    yield add
    sys.modules.pop("dfkd.recipes.added_by_a_test", None)


def test_a_recipe_file_is_discovered(added_file):
    added_file("added")
    found = dfkd.recipes._discover()
    assert found.keys() == {*EVERY_RECIPE, "added"}
    assert list(found) == sorted(found)


def test_a_duplicate_recipe_name_is_refused_with_both_files(added_file):
    added_file("zskt")
    with pytest.raises(ValueError, match=r"'zskt': added_by_a_test.py and zskt.py"):
        dfkd.recipes._discover()


@pytest.mark.parametrize("name", EVERY_RECIPE)
def test_as_data_is_json_without_descriptions(name):
    recipe = EVERY_RECIPE[name]
    data = recipe.as_data()
    assert json.loads(json.dumps(data)) == data
    renamed = replace(recipe, name="other", citation="none", reported={}, notes=(), role="own")
    assert renamed.as_data() == data
    assert data["synthesizer"]["type"] == type(recipe.synthesizer).__name__


def test_as_data_differs_between_recipes_and_between_settings():
    data = [json.dumps(recipe.as_data(), sort_keys=True) for recipe in EVERY_RECIPE.values()]
    assert len(set(data)) == len(data)
    for name in HOUSE.settings:
        changed = HOUSE.overridden({name: HOUSE.settings[name] + 1})
        assert changed.as_data() != HOUSE.as_data(), name


def test_as_data_does_not_depend_on_the_order_of_options():
    options = {"temperature": 3.0, "clamp": 0.01}
    one = replace(HOUSE, terms=(Term("adversary-js", 1.0, options=options),))
    backwards = dict(reversed(options.items()))
    other = replace(HOUSE, terms=(Term("adversary-js", 1.0, options=backwards),))
    assert json.dumps(one.as_data()) == json.dumps(other.as_data())


@pytest.mark.parametrize("name", EVERY_RECIPE)
def test_modules_of_a_recipe_exist(name):
    modules = EVERY_RECIPE[name].modules()
    assert list(modules) == sorted(set(modules))
    assert all(find_spec(module) is not None for module in modules)


@pytest.mark.server
def test_modules_of_a_recipe_are_those_that_its_training_imports():
    """The parts of a recipe are loaded during construction and training, not before."""
    code = """
import sys
from dfkd.recipes import EVERY_RECIPE
modules = {name: recipe.modules() for name, recipe in EVERY_RECIPE.items()}
assert "torch" not in sys.modules
from tests.support.tiny import make_loop, shrunk
from dfkd.training.budget import Plan
recipe = EVERY_RECIPE["lra"]
make_loop(shrunk(recipe), Plan(0, 2)).run()
parts = ("terms", "memory", "synthesizers", "student_loss", "models")
loaded = {m for m in sys.modules if m.startswith(tuple(f"dfkd.{part}." for part in parts))}
print(*sorted(loaded - set(modules["lra"])))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tables = {
        *(f"dfkd.{part}.table" for part in ("terms", "memory", "synthesizers", "models")),
        "dfkd.student_loss.table",
    }
    print(run.stdout)
    assert tables <= set(run.stdout.split())
    assert not set(run.stdout.split()) - tables - COMMON


COMMON = {
    "dfkd.memory.labelled_batch",
    "dfkd.memory.make",
    "dfkd.memory.protocol",
    "dfkd.models.construction",
    "dfkd.models.counted_teacher",
    "dfkd.models.forward_pass",
    "dfkd.models.precision",
    "dfkd.models.state_dicts",
    "dfkd.models.lenet",
    "dfkd.student_loss.feature_maps",
    "dfkd.student_loss.updates",
    "dfkd.synthesizers.make",
    "dfkd.synthesizers.protocol",
    "dfkd.terms.inputs",
    "dfkd.terms.make",
    "dfkd.terms.stateful",
    "dfkd.terms.wrappers",
}
"""Modules that the training loop imports for every recipe, and the networks of the test."""


@pytest.mark.parametrize("name", KNOWN)
def test_terms_agree_with_the_publication(name):
    recipe, known = RECIPES[name], KNOWN[name]
    found = {term.name: term.weight for term in recipe.terms}
    assert found.keys() == known.terms.keys()
    assert all(agrees(found[term], weight) for term, weight in known.terms.items())
    for term in recipe.terms:
        assert dict(term.options) == known.options.get(term.name, {}), term.name
        assert class_of(term.wrapper) is known.wrappers.get(term.name), term.name


@pytest.mark.parametrize("name", KNOWN)
def test_memory_objective_and_update_agree_with_the_publication(name):
    recipe, known = RECIPES[name], KNOWN[name]
    assert class_of(recipe.memory) is known.memory
    assert class_of(recipe.update) is known.update
    kind, temperature = known.objective
    assert agrees(type(recipe.objective), kind)
    assert agrees(getattr(recipe.objective, "temperature", None), temperature)
    if known.replay:
        assert recipe.replayed == known.replay
    attention = known.extra.get("objective.attention", 0.0)
    assert recipe.objective.attention == attention
    assert recipe.average == 0.0


@pytest.mark.parametrize("name", KNOWN)
def test_schedule_agrees_with_the_publication(name):
    recipe, known = RECIPES[name], KNOWN[name]
    schedule = recipe.schedule
    if known.ratio:
        assert (schedule.generator_steps, schedule.student_steps) == known.ratio
    assert agrees(schedule.batch, known.batch)
    assert agrees((schedule.warmup_rounds, schedule.rounds), known.rounds)
    assert schedule.fresh == known.fresh
    if known.memory in (None, BatchBank, VaeReplay) and schedule.fresh == "new":
        assert schedule.fresh_batches == schedule.student_steps


@pytest.mark.parametrize("name", KNOWN)
def test_synthesizer_agrees_with_the_publication(name):
    recipe, known = RECIPES[name], KNOWN[name]
    synthesizer = recipe.synthesizer
    assert type(synthesizer) is known.kind
    assert synthesizer.steps == known.steps
    network = getattr(synthesizer, "network", None)
    if network is None:
        assert known.latent is None and known.layout is None
    else:
        assert agrees(network.latent, known.latent)
        assert agrees((network.head, network.norm_eps, network.spectral), known.layout)
    if known.layout:
        # All published generators of 32x32 images are in DAFL's layout, 128 channels wide.
        assert (network.trunk, network.width) == ("upsample", 128)
    assert synthesizer.augment == known.extra.get("synthesizer.augment", "none")


@pytest.mark.parametrize("name", KNOWN)
def test_optimizers_agree_with_the_publication(name):
    recipe, known = RECIPES[name], KNOWN[name]
    rate, kind = known.generator
    assert agrees(recipe.generator.lr, rate)
    assert type(recipe.generator) is kind
    rate, kind, decay, policy = known.student
    assert agrees(recipe.student.lr, rate)
    assert agrees(type(recipe.student), kind)
    assert agrees(recipe.student.weight_decay, decay)
    assert agrees(type(recipe.student.policy), policy)
    assert getattr(recipe.student.policy, "milestones", ()) == known.milestones
    if isinstance(recipe.student, Sgd):
        assert recipe.student.momentum == 0.9
    if "generator.clip" not in known.extra:
        assert recipe.generator.clip == recipe.student.clip == 0.0


@pytest.mark.parametrize("name", KNOWN)
def test_further_attributes_agree_with_the_publication(name):
    for path, value in KNOWN[name].extra.items():
        assert attribute(RECIPES[name], path) == value, path


def test_lra_differs_from_pre_dfkd_in_update_and_batch_only():
    lra, replay = RECIPES["lra"], RECIPES["pre-dfkd"]
    same = ("terms", "synthesizer", "memory", "objective", "generator", "student", "selection")
    assert all(getattr(lra, part) == getattr(replay, part) for part in same)
    assert 0 < lra.update.inner_lr <= 0.1


def test_memory_holds_all_images_of_methods_that_replay_all():
    for name in ("cmi", "fast-datafree", "nayer", "zskd", "deepinversion", "adi"):
        recipe = RECIPES[name]
        counts = recipe.schedule
        batches = counts.warmup_rounds + counts.rounds * counts.generator_steps
        assert recipe.memory.capacity == batches * counts.batch, name


@pytest.mark.parametrize("name", RECIPES)
def test_citation_has_a_year(name):
    assert re.search(r"\b20[12]\d\b", RECIPES[name].citation)


@pytest.mark.parametrize("name", UNVERIFIED)
def test_unverified_methods_have_notes(name):
    assert RECIPES[name].notes
    assert all(note.strip() for note in RECIPES[name].notes)


@pytest.mark.parametrize("name", ["rdskd", "de-dfkd", "mad", "ta-dfkd", "lra", "dfq-akd", "adi"])
def test_own_choices_are_marked_in_the_notes(name):
    assert any("Ours" in note for note in RECIPES[name].notes)


def test_reported_figures_name_their_source():
    for recipe in RECIPES.values():
        for pair, figure in recipe.reported.items():
            assert pair
            assert "(" in figure or "repository" in figure or "below" in figure, figure


@pytest.fixture(scope="module")
def students():
    """The weights before and after each recipe trains the same student from the same seed."""
    results = {}
    for name, recipe in RECIPES.items():
        has_warmup = not {term.name for term in recipe.terms} <= ADVERSARIES
        torch.manual_seed(0)
        loop = make_loop(shrunk(recipe), Plan(2 if has_warmup else 0, 3, 0.01))
        before = weights(loop.student)
        loop.run()
        results[name] = (before, weights(loop.student))
    return results


def test_every_recipe_trains_the_student(students):
    for name, (before, after) in students.items():
        assert torch.isfinite(after).all(), name
        assert not torch.equal(before, after), name


def test_recipes_give_different_students_from_one_seed(students):
    starts = [before for before, _ in students.values()]
    assert all(torch.equal(starts[0], start) for start in starts)
    seen = {}
    for name, (_, after) in students.items():
        equal = next((other for other, theirs in seen.items() if torch.equal(theirs, after)), None)
        assert equal is None, f"{name} and {equal}"
        seen[name] = after


def test_zeroq_is_internal_and_makes_one_batch():
    assert [(t.name, t.weight) for t in ZEROQ.terms] == [("batch-norm-of-images", 1.0)]
    assert ZEROQ.synthesizer == PixelOptimization(steps=500)
    assert ZEROQ.generator.lr == 0.5
    assert 32 <= ZEROQ.schedule.batch <= 64
    assert ZEROQ.name not in RECIPES  # no student learns from its images
