"""Recipes, and parts of them, from a user's own module."""

import sys

import pytest

from base.errors import InputError
from dfkd.recipe import Recipe
from dfkd.terms import TERMS
from pipeline.chain import chain, run_step, step_key
from pipeline.config.chosen_recipes import chosen_recipe, distilling_recipe
from pipeline.config.run_file import read_run_file
from pipeline.roles import TEACHER
from pipeline.store.step_record import Artifact
from pipeline.store.store import Store
from pipeline.teachers.config_checks import check_config
from tests.support.quick_run import GENERATOR, write_run

MODULE = """
from dfkd import Recipe
from dfkd.composition import ImagePool, Schedule, Term
from dfkd.memory import MemoryEntry, add_memory
from dfkd.terms import TermEntry, add_term
from dataclasses import dataclass

def brightness(images, mean=0.0):
    return (images.mean((1, 2, 3)) - mean).square().mean()

@dataclass(frozen=True)
class CountingPool(ImagePool):
    pass

def build(recipe, context):
    from dfkd.memory.pool import build
    built.append(recipe.name)
    return build(recipe, context)

built = []
add_term("brightness", TermEntry("own_module:brightness", ("images",)))
add_memory(CountingPool, MemoryEntry("own_module:build"))
RECIPE = Recipe(
    "mine", "ours",
    terms=(Term("certainty", 1.0), Term("brightness", 0.1)),
    memory=CountingPool(64),
    schedule=Schedule(batch=16, fresh_batches=1, student_steps=2, rounds=4),
)
NUMBER = 3
"""

OWN = "own_module:RECIPE"


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module on the Python path; what it adds to the tables is removed afterwards."""
    from dfkd.memory import MEMORIES

    tables = [(table, dict(table)) for table in (TERMS, MEMORIES)]
    (folder := tmp_path / "on_path").mkdir()
    (folder / "own_module.py").write_text(MODULE)
    (folder / "broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder / "own_module.py"
    for name in ("own_module", "broken"):
        sys.modules.pop(name, None)
    for table, before in tables:
        table.clear()
        table.update(before)


def config(folder, **changes):
    distill = {"recipe": OWN, "budget": {"steps": 4}, "overrides": {"brightness": 0.2, **GENERATOR}}
    return read_run_file(write_run(folder, distill=distill, **changes))


def test_recipe_and_its_term_are_used_by_a_run_file(own_module, tmp_path):
    run = config(tmp_path)
    check_config(run)
    recipe = distilling_recipe(run)
    assert isinstance(recipe, Recipe)
    assert recipe.settings["brightness"] == 0.2
    assert "own_module" in recipe.modules()


def test_student_is_distilled_with_own_term_and_memory(own_module, tmp_path):
    class Silent:
        def say(self, line):
            pass

        def phase(self, name, done, total, losses):
            phases.append((name, losses))

    phases, artifacts, store = [], {}, Store(str(tmp_path / "store"))
    run = config(tmp_path)
    for step in chain(run)[:2]:
        record = run_step(step, run, artifacts, store, Silent())
        artifacts = {TEACHER: record.artifacts["teacher"]} if step.name == "teacher" else artifacts
    assert "brightness" in phases[-1][1]
    assert sys.modules["own_module"].built == ["mine"]
    assert record.notes["terms"] == ["certainty", "brightness"]


def test_code_of_the_module_is_in_the_key_of_steps_that_use_it(own_module, tmp_path):
    def keys(run):
        artifacts = {}
        found = {}
        for step in chain(run):
            artifacts = {role: Artifact("x", "0" * 64, 0) for role in step.needs(run, step.target)}
            settings = step.settings(run, step.target)
            found[step.name] = step_key(step, run, settings, artifacts)
        return found

    run = config(tmp_path)
    before = keys(run)
    own_module.write_text(MODULE.replace(".square()", ".abs()"))
    after = keys(run)
    assert {name for name in before if before[name] != after[name]} == {"distill"}
    own_module.write_text(MODULE + "# a comment\n")
    assert keys(run) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:RECIPE", "recipe nowhere:RECIPE: No module named 'nowhere'; add its folder to"),
        ("broken:RECIPE", "importing it failed: ZeroDivisionError: division by zero; correct"),
        ("own_module:RECIP", "own_module has no 'RECIP'; did you mean 'RECIPE'"),
        ("own_module:NUMBER", "is of the type int, not dfkd.Recipe; choose one of RECIPE"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(own_module, name, message):
    with pytest.raises(InputError) as caught:
        chosen_recipe(name, {})
    assert message in str(caught.value)


def test_own_recipe_is_refused_where_own_code_is(own_module, monkeypatch):
    monkeypatch.setenv("DATAFREE_EDGE_FACTORIES", "refused")
    with pytest.raises(InputError, match="which this machine refuses; choose a recipe by its name"):
        chosen_recipe(OWN, {})
    assert "own_module" not in sys.modules
