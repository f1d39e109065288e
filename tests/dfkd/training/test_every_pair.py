"""Every two components that go together run together."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args, get_type_hints

import pytest
import torch

from dfkd.compatibility import LABELLED
from dfkd.composition import (
    Memory,
    Objective,
    Schedule,
    Synthesizer,
    SynthesizerKind,
    Term,
    Update,
    Wrapper,
)
from dfkd.needs import NEEDS
from dfkd.recipe import Recipe, RecipeError
from dfkd.training.budget import Plan
from tests.support.tiny import make_loop, make_teacher, weights

BASE = Recipe(
    "of the test",
    "none",
    (Term("certainty", 1.0),),
    synthesizer=Synthesizer(width=4, latent=4),
    schedule=Schedule(batch=4, fresh_batches=2, student_steps=2, rounds=2),
)
MADE = ("fresh-generator", "meta-generator", "noisy-layer", "pixels", "impressions")
"""Synthesizers that make images for a pool."""


@dataclass(frozen=True)
class Component:
    """One component of one axis.

    Attributes:
        axis: What it is a choice of.
        name: Its name there.
        put: Parts of a recipe with it, and with what it cannot do without.
        holds: Whether a recipe has it.
    """

    axis: str
    name: str
    put: Callable[[dict], dict]
    holds: Callable[[Recipe], bool]

    def __str__(self):
        return f"{self.axis} {self.name}"


def synthesizer(kind):
    def put(parts):
        changed = replace(parts["synthesizer"], kind=kind)
        if kind == "generator":
            return {**parts, "synthesizer": changed}
        told = changed.conditional or kind == "noisy-layer"
        return {
            **parts,
            "synthesizer": replace(changed, steps=2, conditional=told, latent_lr=0.01),
            "memory": Memory("pool", capacity=16, share=0.5),
            "schedule": replace(parts["schedule"], fresh_batches=0),
        }

    return Component("synthesizer", kind, put, lambda recipe: recipe.synthesizer.kind == kind)


def term(name):
    def put(parts):
        if name not in {t.name for t in parts["terms"]}:
            parts = {**parts, "terms": (*parts["terms"], Term(name, 0.5))}
        if name == "contrast":
            parts["synthesizer"] = replace(parts["synthesizer"], augment="two-views")
        if name == "soft-label":
            parts = synthesizer("impressions").put(parts)
        chosen = parts["synthesizer"]
        told = name in LABELLED - {"mode-seeking"} and chosen.kind == "generator"
        if told or name == "mode-seeking":
            parts["synthesizer"] = replace(chosen, conditional=True)
        return parts

    return Component("term", name, put, lambda recipe: name in {t.name for t in recipe.terms})


def wrapper(kind):
    """On an adversary, which is never positive, as the last of the wrappers asks."""
    wrapped = Term("adversary", 0.5, wrapper=Wrapper(kind))

    def put(parts):
        others = tuple(t for t in parts["terms"] if t.name != wrapped.name)
        return {**parts, "terms": (*others, wrapped)}

    return Component("wrapper", kind, put, lambda recipe: wrapped in recipe.terms)


def memory(kind):
    chosen = Memory(kind, capacity=16, share=0.5, latent=4, steps=1)

    def put(parts):
        schedule = parts["schedule"]
        if (
            kind == "none"
            and parts["synthesizer"].kind == "generator"
            and not schedule.shares_a_batch
        ):
            schedule = replace(schedule, fresh_batches=schedule.student_steps)
        return {**parts, "memory": chosen, "schedule": schedule}

    return Component("memory", kind, put, lambda recipe: recipe.memory.kind == kind)


def selection(kind):
    return Component(
        "selection",
        kind,
        lambda parts: {**parts, "selection": kind},
        lambda recipe: recipe.selection == kind,
    )


def objective(name, chosen):
    return Component(
        "objective",
        name,
        lambda parts: {**parts, "objective": chosen},
        lambda recipe: recipe.objective == chosen,
    )


def update(name, chosen):
    def put(parts):
        parts = {**parts, "update": chosen}
        if chosen.kind != "plain" and parts["memory"].kind == "none":
            parts = memory("pool").put(parts)
        return parts

    return Component("update", name, put, lambda recipe: recipe.update == chosen)


def fresh(kind):
    def put(parts):
        batches = 2 if kind in ("new", "mixed") else 1
        if parts["synthesizer"].kind != "generator":
            batches = 0
        return {**parts, "schedule": replace(parts["schedule"], fresh=kind, fresh_batches=batches)}

    return Component("fresh", kind, put, lambda recipe: recipe.schedule.fresh == kind)


def augment(kind):
    return Component(
        "augment",
        kind,
        lambda parts: {**parts, "synthesizer": replace(parts["synthesizer"], augment=kind)},
        lambda recipe: recipe.synthesizer.augment == kind,
    )


COMPONENTS = (
    *map(synthesizer, ("generator", *MADE)),
    *map(term, NEEDS),
    *map(wrapper, ("exp-increment", "bounded", "log1p")),
    *map(memory, ("none", "pool", "bank", "vae", "average-generator")),
    *map(selection, ("all", "clean-mixture")),
    objective("logit-l1", Objective("logit-l1")),
    objective("soft-kl", Objective("soft-kl")),
    objective("difference-entropy", Objective("difference-entropy")),
    objective("attention", Objective("soft-kl", attention=1.0)),
    objective("stages", Objective("soft-kl", stages=1.0)),
    update("plain", Update("plain")),
    update("two-source", Update("two-source")),
    update("meta", Update("meta")),
    update("meta, first order", Update("meta", first_order=True)),
    *map(fresh, ("new", "mixed", "same-latents", "generator-batch")),
    *map(augment, ("none", "roll", "crop-flip", "two-views")),
)


def composed(first, second):
    """A recipe with both components around the base; None when they do not go together."""
    parts = {name: getattr(BASE, name) for name in vars(BASE)}
    for order in ((first, second), (second, first)):
        changed = parts
        for component in order:
            changed = component.put(changed)
        try:
            recipe = Recipe(**changed)
        except RecipeError:
            continue
        if first.holds(recipe) and second.holds(recipe):
            return recipe
    return None


PAIRS = {
    f"{first} - {second}": (first, second, composed(first, second))
    for first, second in itertools.combinations(COMPONENTS, 2)
    if first.axis != second.axis
}
LEGAL = {name: recipe for name, (_, _, recipe) in PAIRS.items() if recipe is not None}
DISTINCT = {repr(recipe): name for name, recipe in reversed(LEGAL.items())}
"""Many pairs are the base with one of their components; each recipe runs once."""

OF_A_KEPT_GENERATOR = (
    *(f"memory {kind}" for kind in ("none", "bank", "vae", "average-generator")),
    "selection clean-mixture",
    "update meta",
    "update meta, first order",
    "fresh mixed",
    "fresh same-latents",
    "fresh generator-batch",
)
APART = {
    *((f"synthesizer {kind}", other) for kind in MADE for other in OF_A_KEPT_GENERATOR),
    *(
        (f"synthesizer {kind}", "term soft-label")
        for kind in ("generator", *MADE)
        if kind != "impressions"
    ),
    *(("term soft-label", other) for other in OF_A_KEPT_GENERATOR),
    ("term inter-sample", "selection clean-mixture"),
    ("term contrast", "selection clean-mixture"),
    *((f"synthesizer {kind}", "term mode-seeking") for kind in MADE[-3:]),
    ("synthesizer impressions", "term metric"),
    *(("term contrast", f"augment {kind}") for kind in ("none", "roll", "crop-flip")),
    *(("memory none", f"update {kind}") for kind in ("two-source", "meta", "meta, first order")),
    *(
        (f"objective {compared}", f"update {kind}")
        for compared in ("attention", "stages")
        for kind in ("meta", "meta, first order")
    ),
}
"""What nothing can bring together."""


@pytest.fixture(scope="module")
def teacher():
    return make_teacher()


@pytest.mark.parametrize("name", sorted(DISTINCT.values()))
def test_two_rounds_after_one_of_warm_up(name, teacher):
    before_teacher = weights(teacher)
    # Stages are compared between networks that are as wide.
    student = "lenet5-bn" if LEGAL[name].objective.stages else "lenet5-half-bn"
    loop = make_loop(LEGAL[name], Plan(1, 2), teacher=teacher, student=student)
    before, rounds = weights(loop.student), []
    loop.run(rounds.append)
    assert [r.phase for r in rounds] == ["warm-up", "adversarial", "adversarial"]
    assert all(math.isfinite(value) for r in rounds for value in r.losses.values())
    assert all(math.isfinite(value) for r in rounds for value in r.gradients.values())
    assert all(r.event is None for r in rounds)
    after = weights(loop.student)
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
    assert loop.counts.student_steps == 2 * 2
    assert torch.equal(before_teacher, weights(teacher))


def test_refused_are_the_pairs_that_nothing_can_bring_together():
    refused = {(str(a), str(b)) for a, b, recipe in PAIRS.values() if recipe is None}
    assert refused == APART


@pytest.mark.parametrize("component", COMPONENTS, ids=str)
def test_every_component_goes_with_some_other_of_every_axis(component):
    axes = {c.axis for c in COMPONENTS} - {component.axis}
    met = {
        other.axis
        for a, b, recipe in PAIRS.values()
        for one, other in ((a, b), (b, a))
        if one is component and recipe is not None
    }
    assert met == axes


def test_the_components_are_all_there_are():
    """A component that is added to the engine has to be added here."""
    known = {
        axis: {c.name for c in COMPONENTS if c.axis == axis}
        for axis in {c.axis for c in COMPONENTS}
    }
    assert known["synthesizer"] == set(get_args(SynthesizerKind))
    assert known["term"] == set(NEEDS)

    def kinds(part, attribute="kind"):
        return set(get_args(get_type_hints(part)[attribute]))

    assert known["memory"] == kinds(Memory)
    assert known["selection"] == kinds(Recipe, "selection")
    assert known["objective"] == kinds(Objective) | {"attention", "stages"}
    assert known["update"] == kinds(Update) | {"meta, first order"}
    assert known["fresh"] == kinds(Schedule, "fresh")
    assert known["augment"] == kinds(Synthesizer, "augment")
    assert known["wrapper"] == kinds(Wrapper) - {"plain"}
