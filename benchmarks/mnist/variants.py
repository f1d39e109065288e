"""Variants of recipes, with one part removed or replaced."""

from collections.abc import Callable
from dataclasses import replace

from dfkd.composition import ImagePool, KeptGenerator, LogitL1, MetaStep, Term
from dfkd.recipe import Recipe


def _without(name: str) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(
        recipe, terms=tuple(term for term in recipe.terms if term.name != name)
    )


def _scaled_certainty(factor: float, plain: bool) -> Callable[[Recipe], Recipe]:
    """Scale the weight of certainty; if `plain`, also remove RDSKD's wrappers."""

    def changed(recipe: Recipe) -> Recipe:
        terms = []
        for term in recipe.terms:
            weight = term.weight * (factor if term.name == "certainty" else 1.0)
            wrapper = None if plain else term.wrapper
            terms.append(replace(term, weight=weight, wrapper=wrapper))
        return replace(recipe, terms=tuple(terms))

    return changed


def _unconditional(recipe: Recipe) -> Recipe:
    """Remove the labels of DE-DFKD; certainty and balance replace the terms that need labels."""
    labelled = {"label-certainty", "metric", "mode-seeking"}
    kept = tuple(term for term in recipe.terms if term.name not in labelled)
    return replace(
        recipe,
        synthesizer=replace(_kept_generator(recipe), conditioning=None),
        terms=(Term("certainty", 1.0), Term("class-balance", 1.0), *kept),
    )


def _no_replay(recipe: Recipe) -> Recipe:
    """Remove the replay and keep the number of student steps.

    If there are more student steps than new batches, a memory remains, but it holds only the new
    batches of the round.
    """
    schedule = recipe.schedule
    if schedule.student_steps == schedule.fresh_batches:
        return replace(recipe, memory=None)
    images = schedule.fresh_batches * schedule.batch
    assert isinstance(recipe.memory, ImagePool)
    return replace(recipe, memory=replace(recipe.memory, capacity=images))


def _with_head(head: str) -> Callable[[Recipe], Recipe]:
    def changed(recipe: Recipe) -> Recipe:
        kept = _kept_generator(recipe)
        network = replace(kept.network, head=head)
        return replace(recipe, synthesizer=replace(kept, network=network))

    return changed


def _kept_generator(recipe: Recipe) -> KeptGenerator:
    assert isinstance(recipe.synthesizer, KeptGenerator)
    return recipe.synthesizer


def _first_order(recipe: Recipe) -> Recipe:
    assert isinstance(recipe.update, MetaStep)
    return replace(recipe, update=replace(recipe.update, first_order=True))


VARIANTS: dict[str, Callable[[Recipe], Recipe]] = {
    "without replay": _no_replay,
    "without meta step": lambda recipe: replace(recipe, update=None),
    "first order": _first_order,
    "without selection": lambda recipe: replace(recipe, selection="all"),
    "unconditional": _unconditional,
    "without metric": lambda recipe: _without("mode-seeking")(_without("metric")(recipe)),
    "without adversary": _without("adversary"),
    "without class-balance": _without("class-balance"),
    "without certainty": _without("certainty"),
    "without batch-norm": _without("batch-norm"),
    "without blending": lambda recipe: replace(
        recipe, schedule=replace(recipe.schedule, fresh="new")
    ),
    "logit-l1": lambda recipe: replace(recipe, objective=LogitL1()),
    "tanh head": _with_head("tanh"),
    "sigmoid head": _with_head("sigmoid"),
    **{f"certainty x{f:g}": _scaled_certainty(f, plain=False) for f in (0.1, 10.0)},
    **{f"plain sum x{f:g}": _scaled_certainty(f, plain=True) for f in (0.1, 1.0, 10.0)},
}
"""Functions that change a recipe, by the name of the variant."""
