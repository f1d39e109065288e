"""Checks of a recipe with networks, without torch, so that checking a run file is fast."""

from dfkd.composition import Composition, Term
from dfkd.models import ARCHITECTURES
from dfkd.recipe import Recipe
from dfkd.terms import TERMS


def lacking_batch_norm(recipe: Composition) -> Term | None:
    """Return the first required term that needs batch norm in the teacher, or None."""
    for term in recipe.terms:
        if TERMS[term.name].needs_batch_norm and not term.where_possible:
            return term
    return None


def without_batch_norm(recipe: Composition) -> tuple[Term, ...]:
    """Return the terms that can be computed with a teacher without batch norm."""
    return tuple(term for term in recipe.terms if not TERMS[term.name].needs_batch_norm)


def pair_fault(recipe: Recipe, teacher: str, student: str) -> str | None:
    """Return why a recipe cannot be used with two architectures; None if no reason is known.

    Args:
        recipe: The recipe.
        teacher: A key of `ARCHITECTURES`; a network with another name is checked when it is loaded.
        student: As for `teacher`.

    Examples:
        >>> from dfkd.recipes import RECIPES
        >>> pair_fault(RECIPES["cmi"], "lenet5", "lenet5-half")
        'recipe cmi needs batch norm (term batch-norm-l2); lenet5 has none'
    """
    first, second = ARCHITECTURES.get(teacher), ARCHITECTURES.get(student)
    term = lacking_batch_norm(recipe)
    if first and not first.batch_norm and term:
        return f"recipe {recipe.name} needs batch norm (term {term.name}); {teacher} has none"
    same_family = first is not None and second is not None and first.family == second.family
    if recipe.objective.compares_maps and not same_family:
        compared = "attention maps" if recipe.objective.attention else "outputs of stages"
        return (
            f"recipe {recipe.name} compares {compared}, which needs teacher and student of "
            f"one family of architectures, not {teacher} and {student}"
        )
    return None
