"""Every two components that go together also train together."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import get_args, get_type_hints

import pytest
import torch

from dfkd.composition import (
    AnyMemory,
    AnyObjective,
    AnySynthesizer,
    AnyUpdate,
    AnyWrapper,
    AverageGenerator,
    BatchBank,
    Bounded,
    Composition,
    DifferenceEntropy,
    ExpIncrement,
    FreshGenerator,
    GeneratorNetwork,
    ImagePool,
    KeptGenerator,
    Log1p,
    LogitL1,
    MetaGenerator,
    MetaStep,
    NoisyLayer,
    PixelOptimization,
    Schedule,
    SoftKl,
    SoftLabelPixels,
    Term,
    TwoSource,
    VaeReplay,
)
from dfkd.composition.synthesis import Augment
from dfkd.recipe import Recipe, RecipeError
from dfkd.terms import LABELLED, TERMS
from dfkd.training.budget import Plan
from tests.support.tiny import make_loop, make_teacher, weights

NETWORK = GeneratorNetwork(width=4, latent=4)
BASE = Recipe(
    "of the test",
    "none",
    terms=(Term("certainty", 1.0),),
    synthesizer=KeptGenerator(NETWORK),
    schedule=Schedule(batch=4, fresh_batches=2, student_steps=2, rounds=2),
)
POOL = ImagePool(capacity=16, share=0.5)
SYNTHESIZERS = (
    KeptGenerator(NETWORK),
    FreshGenerator(NETWORK, steps=2, latent_lr=0.01),
    MetaGenerator(NETWORK, steps=2, latent_lr=0.01),
    NoisyLayer(NETWORK, steps=2),
    PixelOptimization(steps=2),
    SoftLabelPixels(steps=2),
)
MEMORIES = (
    None,
    POOL,
    BatchBank(capacity=16, share=0.5),
    VaeReplay(latent=4, share=0.5, steps=1),
    AverageGenerator(share=0.5),
)
UPDATES = (None, TwoSource(), MetaStep(), MetaStep(first_order=True))
OBJECTIVES = (
    LogitL1(),
    SoftKl(),
    DifferenceEntropy(),
    SoftKl(attention=1.0),
    SoftKl(stages=1.0),
)


def label(part):
    """A short name for a part: its class, or its repr where the class is not enough."""
    if part is None:
        return "none"
    several = isinstance(part, MetaStep) or getattr(part, "compares_maps", False)
    return repr(part) if several else type(part).__name__


@dataclass(frozen=True)
class Component:
    """One choice for one part of a recipe.

    Attributes:
        axis: The part.
        name: The choice.
        put: Returns the parts of a recipe with this choice, and with whatever it requires.
        holds: Whether a recipe has this choice.
    """

    axis: str
    name: str
    put: Callable[[dict], dict]
    holds: Callable[[Recipe], bool]

    def __str__(self):
        return f"{self.axis} {self.name}"


def synthesizer(chosen):
    kind = type(chosen)

    def put(parts):
        before = parts["synthesizer"]
        kept = {
            name: getattr(before, name)
            for name in ("conditioning", "augment")
            if hasattr(before, name) and hasattr(chosen, name)
        }
        parts = {**parts, "synthesizer": replace(chosen, **kept)}
        if not chosen.draws_on_demand:
            parts["memory"] = POOL
            parts["schedule"] = replace(parts["schedule"], fresh_batches=0)
        return parts

    return Component(
        "synthesizer", kind.__name__, put, lambda recipe: type(recipe.synthesizer) is kind
    )


def term(name):
    def put(parts):
        if name not in {t.name for t in parts["terms"]}:
            parts = {**parts, "terms": (*parts["terms"], Term(name, 0.5))}
        if name == "contrast":
            parts["synthesizer"] = replace(parts["synthesizer"], augment="two-views")
        if name == "soft-label":
            parts = synthesizer(SoftLabelPixels(steps=2)).put(parts)
        chosen = parts["synthesizer"]
        needs_classes = name in LABELLED and chosen.labels is None
        if needs_classes or (name == "mode-seeking" and hasattr(chosen, "conditioning")):
            parts["synthesizer"] = replace(chosen, conditioning="product")
        return parts

    return Component("term", name, put, lambda recipe: name in {t.name for t in recipe.terms})


def wrapper(chosen):
    """The wrapper on an adversary, which is never positive, as Log1p requires."""
    wrapped = Term("adversary", 0.5, wrapper=chosen)

    def put(parts):
        others = tuple(t for t in parts["terms"] if t.name != wrapped.name)
        return {**parts, "terms": (*others, wrapped)}

    return Component("wrapper", label(chosen), put, lambda recipe: wrapped in recipe.terms)


def memory(chosen):
    def put(parts):
        schedule = parts["schedule"]
        on_demand = parts["synthesizer"].draws_on_demand
        if chosen is None and on_demand and not schedule.shares_a_batch:
            schedule = replace(schedule, fresh_batches=schedule.student_steps)
        return {**parts, "memory": chosen, "schedule": schedule}

    return Component("memory", label(chosen), put, lambda recipe: recipe.memory == chosen)


def part(axis, chosen):
    return Component(
        axis,
        label(chosen) if not isinstance(chosen, str) else chosen,
        lambda parts: {**parts, axis: chosen},
        lambda recipe: getattr(recipe, axis) == chosen,
    )


def update(chosen):
    def put(parts):
        parts = {**parts, "update": chosen}
        return memory(POOL).put(parts) if chosen and parts["memory"] is None else parts

    return Component("update", label(chosen), put, lambda recipe: recipe.update == chosen)


def fresh(choice):
    def put(parts):
        batches = 2 if choice in ("new", "mixed") else 1
        if not parts["synthesizer"].draws_on_demand:
            batches = 0
        schedule = replace(parts["schedule"], fresh=choice, fresh_batches=batches)
        return {**parts, "schedule": schedule}

    return Component("fresh", choice, put, lambda recipe: recipe.schedule.fresh == choice)


def augment(choice):
    return Component(
        "augment",
        choice,
        lambda parts: {**parts, "synthesizer": replace(parts["synthesizer"], augment=choice)},
        lambda recipe: recipe.synthesizer.augment == choice,
    )


COMPONENTS = (
    *map(synthesizer, SYNTHESIZERS),
    *map(term, TERMS),
    *map(wrapper, (ExpIncrement(), Bounded(), Log1p())),
    *map(memory, MEMORIES),
    *(part("selection", choice) for choice in ("all", "clean-mixture")),
    *(part("objective", chosen) for chosen in OBJECTIVES),
    *map(update, UPDATES),
    *map(fresh, ("new", "mixed", "same-latents", "generator-batch")),
    *map(augment, ("none", "roll", "crop-flip", "two-views")),
)


def composed(first, second):
    """A recipe with both components around the base; None when they do not go together."""
    parts = {one.name: getattr(BASE, one.name) for one in fields(BASE)}
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
    (first, second): composed(first, second)
    for first, second in itertools.combinations(COMPONENTS, 2)
    if first.axis != second.axis
}
LEGAL = {pair: recipe for pair, recipe in PAIRS.items() if recipe is not None}
DISTINCT = {repr(recipe): f"{a} - {b}" for (a, b), recipe in reversed(LEGAL.items())}
"""Many pairs are the base with one of their components; each recipe runs once."""


def held_pairs(recipe):
    """The legal pairs whose components are both in a recipe."""
    held = [component for component in COMPONENTS if component.holds(recipe)]
    return {pair for pair in itertools.combinations(held, 2) if pair in LEGAL}


def extended(recipe, pair, uncovered):
    """The recipe with further components, as long as each covers more of the uncovered pairs."""
    covered = len(held_pairs(recipe) & uncovered)
    for component in COMPONENTS:
        parts = {one.name: getattr(recipe, one.name) for one in fields(recipe)}
        try:
            candidate = Recipe(**component.put(parts))
        except (RecipeError, TypeError):
            continue
        pairs = held_pairs(candidate)
        if pair in pairs and len(pairs & uncovered) > covered:
            recipe, covered = candidate, len(pairs & uncovered)
    return recipe


def covering_recipes():
    """Recipes that together hold every legal pair, built greedily: a covering array."""
    uncovered, found = set(LEGAL), {}
    for pair, recipe in LEGAL.items():
        if pair in uncovered:
            chosen = extended(recipe, pair, uncovered)
            found[f"{pair[0]} - {pair[1]} and more"] = chosen
            uncovered -= held_pairs(chosen)
    return found


COVERING = covering_recipes()

PER_BATCH = [type(one).__name__ for one in SYNTHESIZERS[1:]]
ONLY_WITH_A_KEPT_GENERATOR = (
    *(f"memory {label(one)}" for one in MEMORIES if one != POOL),
    "selection clean-mixture",
    *(f"update {label(one)}" for one in UPDATES if isinstance(one, MetaStep)),
    *(f"fresh {choice}" for choice in ("mixed", "same-latents", "generator-batch")),
)
INCOMPATIBLE = {
    *((f"synthesizer {kind}", other) for kind in PER_BATCH for other in ONLY_WITH_A_KEPT_GENERATOR),
    *(
        (f"synthesizer {kind}", "term soft-label")
        for kind in ("KeptGenerator", *PER_BATCH)
        if kind != "SoftLabelPixels"
    ),
    *(("synthesizer SoftLabelPixels", f"term {name}") for name in LABELLED),
    *(("term soft-label", other) for other in ONLY_WITH_A_KEPT_GENERATOR),
    ("term inter-sample", "selection clean-mixture"),
    ("term contrast", "selection clean-mixture"),
    *((f"synthesizer {kind}", "term mode-seeking") for kind in PER_BATCH[-3:]),
    *(("term contrast", f"augment {choice}") for choice in ("none", "roll", "crop-flip")),
    *(("memory none", f"update {label(one)}") for one in UPDATES[1:]),
    *(
        (f"objective {label(one)}", f"update {label(other)}")
        for one in OBJECTIVES
        for other in UPDATES
        if one.compares_maps and isinstance(other, MetaStep)
    ),
}
"""The pairs that no recipe can have."""


@pytest.fixture(scope="module")
def teacher():
    return make_teacher()


def assert_trains(recipe, teacher):
    """Train for one round of warm-up and two more; everything stays finite, the student changes."""
    before_teacher = weights(teacher)
    # Stages are compared between networks of the same width.
    student = "lenet5-bn" if recipe.objective.stages else "lenet5-half-bn"
    loop = make_loop(recipe, Plan(1, 2), teacher=teacher, student=student)
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


@pytest.mark.parametrize("name", COVERING)
def test_recipe_of_the_covering_array_trains(name, teacher):
    assert_trains(COVERING[name], teacher)


def test_covering_array_holds_every_legal_pair():
    assert set().union(*map(held_pairs, COVERING.values())) == set(LEGAL)


@pytest.mark.slow
@pytest.mark.parametrize("text", DISTINCT, ids=DISTINCT.get)
def test_every_legal_pair_trains_by_itself(text, teacher):
    (recipe, *_) = [one for one in LEGAL.values() if repr(one) == text]
    assert_trains(recipe, teacher)


def test_refused_pairs_are_the_incompatible_ones():
    refused = {(str(a), str(b)) for (a, b), recipe in PAIRS.items() if recipe is None}
    assert refused == INCOMPATIBLE


@pytest.mark.parametrize("component", COMPONENTS, ids=str)
def test_every_component_goes_with_some_component_of_every_other_part(component):
    axes = {c.axis for c in COMPONENTS} - {component.axis}
    met = {
        other.axis
        for (a, b), recipe in PAIRS.items()
        for one, other in ((a, b), (b, a))
        if one is component and recipe is not None
    }
    assert met == axes


def test_components_list_every_choice_of_the_composition():
    """A component added to the composition must be added here."""
    assert {c.name for c in COMPONENTS if c.axis == "term"} == set(TERMS)
    for listed, union in (
        (SYNTHESIZERS, AnySynthesizer),
        (MEMORIES[1:], AnyMemory),
        (OBJECTIVES, AnyObjective),
        (UPDATES[1:], AnyUpdate),
    ):
        assert {type(one) for one in listed} == set(get_args(union))
    assert {c.name for c in COMPONENTS if c.axis == "wrapper"} == {
        one.__name__ for one in get_args(AnyWrapper)
    }
    for axis, choices in (
        ("selection", get_type_hints(Composition)["selection"]),
        ("fresh", get_type_hints(Schedule)["fresh"]),
        ("augment", Augment),
    ):
        assert {c.name for c in COMPONENTS if c.axis == axis} == set(get_args(choices))
