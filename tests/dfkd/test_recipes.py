"""The recipes against what is known of the published methods, typed independently of them."""

import re

import pytest
import torch

from dfkd.composition import BatchBank, PixelOptimization, Sgd, VaeReplay
from dfkd.needs import ADVERSARIES
from dfkd.recipes import (
    FOR_QUANTIZATION,
    HELD_OUT,
    HOUSE,
    HOUSE_QUANTIZE,
    OTHER_DATA,
    PUBLISHED,
    RECIPES,
    ZEROQ,
)
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
"""Methods of which something could not be read, or of which half is not published."""


def attribute(recipe, path):
    value = recipe
    for name in path.split("."):
        value = getattr(value, name)
    return value


def class_of(part):
    return None if part is None else type(part)


def agrees(found, known):
    return known is None or found == known


def test_every_published_recipe_is_in_the_table_and_has_one_name():
    published = (*PUBLISHED, *OTHER_DATA, *FOR_QUANTIZATION)
    assert {recipe.name for recipe in published} == KNOWN.keys()
    assert {HOUSE.name, HOUSE_QUANTIZE.name, *KNOWN} == RECIPES.keys()
    assert len(published) + 2 == len(RECIPES)
    assert all(recipe.name == name for name, recipe in RECIPES.items())
    assert HELD_OUT.name not in RECIPES


@pytest.mark.parametrize("name", KNOWN)
def test_terms_weights_and_options(name):
    recipe, known = RECIPES[name], KNOWN[name]
    found = {term.name: term.weight for term in recipe.terms}
    assert found.keys() == known.terms.keys()
    assert all(agrees(found[term], weight) for term, weight in known.terms.items())
    for term in recipe.terms:
        assert dict(term.options) == known.options.get(term.name, {}), term.name
        assert class_of(term.wrapper) is known.wrappers.get(term.name), term.name


@pytest.mark.parametrize("name", KNOWN)
def test_memory_objective_and_update(name):
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
def test_schedule(name):
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
def test_synthesizer(name):
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
def test_optimizers(name):
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
def test_what_else_is_known(name):
    for path, value in KNOWN[name].extra.items():
        assert attribute(RECIPES[name], path) == value, path


def test_lra_differs_from_its_replay_in_the_update_and_the_batch_alone():
    lra, replay = RECIPES["lra"], RECIPES["pre-dfkd"]
    same = ("terms", "synthesizer", "memory", "objective", "generator", "student", "selection")
    assert all(getattr(lra, part) == getattr(replay, part) for part in same)
    assert 0 < lra.update.inner_lr <= 0.1


def test_the_pool_of_a_growing_method_holds_all_that_is_ever_made():
    for name in ("cmi", "fast-datafree", "nayer", "zskd", "deepinversion", "adi"):
        recipe = RECIPES[name]
        counts = recipe.schedule
        batches = counts.warmup_rounds + counts.rounds * counts.generator_steps
        assert recipe.memory.capacity == batches * counts.batch, name


@pytest.mark.parametrize("name", RECIPES)
def test_a_citation_with_a_year(name):
    assert re.search(r"\b20[12]\d\b", RECIPES[name].citation)


@pytest.mark.parametrize("name", UNVERIFIED)
def test_what_is_unverified_or_ours_is_said(name):
    assert RECIPES[name].notes
    assert all(note.strip() for note in RECIPES[name].notes)


@pytest.mark.parametrize("name", ["rdskd", "de-dfkd", "mad", "ta-dfkd", "lra", "dfq-akd", "adi"])
def test_what_is_ours_is_called_ours(name):
    assert any("Ours" in note for note in RECIPES[name].notes)


def test_a_reported_figure_says_where_it_is_from():
    for recipe in RECIPES.values():
        for pair, figure in recipe.reported.items():
            assert pair
            assert "(" in figure or "repository" in figure or "below" in figure, figure


@pytest.fixture(scope="module")
def students():
    """What each recipe makes of the same student from the same seed."""
    results = {}
    for name, recipe in RECIPES.items():
        able = not {term.name for term in recipe.terms} <= ADVERSARIES
        torch.manual_seed(0)
        loop = make_loop(shrunk(recipe), Plan(2 if able else 0, 3, 0.01))
        before = weights(loop.student)
        loop.run()
        results[name] = (before, weights(loop.student))
    return results


def test_every_recipe_teaches_the_student(students):
    for name, (before, after) in students.items():
        assert torch.isfinite(after).all(), name
        assert not torch.equal(before, after), name


def test_no_two_recipes_give_the_same_student_from_one_seed(students):
    starts = [before for before, _ in students.values()]
    assert all(torch.equal(starts[0], start) for start in starts)
    seen = {}
    for name, (_, after) in students.items():
        twin = next((other for other, theirs in seen.items() if torch.equal(theirs, after)), None)
        assert twin is None, f"{name} and {twin}"
        seen[name] = after


def test_zeroq_makes_one_batch_for_calibration():
    assert [(t.name, t.weight) for t in ZEROQ.terms] == [("batch-norm-of-images", 1.0)]
    assert ZEROQ.synthesizer == PixelOptimization(steps=500)
    assert ZEROQ.generator.lr == 0.5
    assert 32 <= ZEROQ.schedule.batch <= 64
    assert ZEROQ.name not in RECIPES  # no student learns from its images
