"""Which networks a recipe can be used with. Needs no torch: it checks run files."""

from dataclasses import dataclass

from dfkd.composition import Composition, Term
from dfkd.needs import NEEDS
from dfkd.recipe import Recipe


@dataclass(frozen=True)
class Family:
    """What is known of an architecture without building it."""

    name: str
    batch_norm: bool


FAMILIES: dict[str, Family] = {
    "lenet5": Family("lenet", batch_norm=False),
    "lenet5-half": Family("lenet", batch_norm=False),
    "lenet5-bn": Family("lenet", batch_norm=True),
    "lenet5-half-bn": Family("lenet", batch_norm=True),
    "resnet20": Family("cifar-resnet", batch_norm=True),
    "resnet32": Family("cifar-resnet", batch_norm=True),
    "resnet56": Family("cifar-resnet", batch_norm=True),
    "resnet18": Family("resnet", batch_norm=True),
    "resnet34": Family("resnet", batch_norm=True),
    "wrn-16-1": Family("wide-resnet", batch_norm=True),
    "wrn-16-2": Family("wide-resnet", batch_norm=True),
    "wrn-40-1": Family("wide-resnet", batch_norm=True),
    "wrn-40-2": Family("wide-resnet", batch_norm=True),
}
"""The registry's architectures; others are looked at when they are loaded."""


def lacking_batch_norm(recipe: Composition) -> Term | None:
    """Return the first required term that a teacher without batch norm cannot serve, or None."""
    for term in recipe.terms:
        if "batch norm" in NEEDS[term.name] and not term.where_possible:
            return term
    return None


def without_batch_norm(recipe: Composition) -> tuple[Term, ...]:
    """Return the terms that a teacher without batch norm can serve."""
    return tuple(term for term in recipe.terms if "batch norm" not in NEEDS[term.name])


def pair_fault(recipe: Recipe, teacher: str, student: str) -> str | None:
    """Return why a recipe does not suit a pair of registry architectures; None when it may.

    Args:
        recipe: The recipe.
        teacher: Architecture name; one that is not in the table is not checked.
        student: Likewise.
    """
    first, second = FAMILIES.get(teacher), FAMILIES.get(student)
    term = lacking_batch_norm(recipe)
    if first and not first.batch_norm and term:
        return f"recipe {recipe.name} needs batch norm (term {term.name}); {teacher} has none"
    related = first is not None and second is not None and first.name == second.name
    if recipe.objective.compares_maps and not related:
        compared = "attention maps" if recipe.objective.attention else "outputs of stages"
        return (
            f"recipe {recipe.name} compares {compared}, which needs teacher and student of "
            f"one family of architectures, not {teacher} and {student}"
        )
    return None
