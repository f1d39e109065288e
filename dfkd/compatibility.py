"""Which parts do not go together, and why. Needs no torch: a run file is checked by it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfkd.composition import Term
from dfkd.needs import NEEDS

if TYPE_CHECKING:
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

ADVERSARIES = frozenset(name for name, needs in NEEDS.items() if "student" in needs)
NEVER_POSITIVE = {"adversary", "adversary-l1", "adversary-while-agreed"}
LABELLED = frozenset(name for name, needs in NEEDS.items() if "labels" in needs)


def fault(recipe: "Recipe") -> str | None:
    """Why the parts of a recipe do not go together; None when they do."""
    names = {term.name for term in recipe.terms}
    return (
        _unknown(recipe, names)
        or _terms(recipe, names)
        or _images(recipe)
        or _replay(recipe)
        or _numbers(recipe)
    )


def _unknown(recipe: "Recipe", names: set[str]) -> str | None:
    unknown = sorted(names - NEEDS.keys())
    if unknown:
        return f"unknown term {unknown[0]!r}"
    if len(names) < len(recipe.terms):
        return "a term stands there twice; give it one weight"
    return None


def _terms(recipe: "Recipe", names: set[str]) -> str | None:
    synthesizer, schedule = recipe.synthesizer, recipe.schedule
    labelled = synthesizer.conditional or synthesizer.kind not in ("generator", "impressions")
    for name in sorted(names & LABELLED):
        if not labelled:
            return f"term {name} asks for classes that an unconditional generator is not told"
    if "soft-label" in names and synthesizer.kind != "impressions":
        return "term soft-label needs the synthesizer impressions, which draws soft labels"
    if "class-balance" in names and names & LABELLED:
        return "class-balance beside chosen labels is redundant: labels are balanced already"
    adversaries = names & ADVERSARIES
    if adversaries and schedule.generator_steps == 0:
        return (
            f"term {min(adversaries)} needs a student, but with generator_steps = 0 "
            "the generator learns only while there is none"
        )
    if adversaries == names and schedule.warmup_rounds:
        return "every term asks the student: in a warm-up without one nothing would be learnt"
    if "contrast" in names and synthesizer.augment != "two-views":
        return "term contrast compares two views of an image: set augment two-views"
    if "contrast" in names and recipe.selection != "all":
        return "contrast pairs the views of a whole batch; selection would break the pairs"
    if "inter-sample" in names and recipe.selection != "all":
        return "inter-sample compares halves of a whole batch; selection would break them"
    without_latents = synthesizer.kind in ("pixels", "impressions", "noisy-layer")
    if "mode-seeking" in names and (without_latents or not synthesizer.conditional):
        return (
            "mode-seeking pairs latents of one class: it needs a conditional generator of latents"
        )
    if "metric" in names and synthesizer.kind == "impressions":
        return "metric compares classes, and impressions have soft labels"
    for term in recipe.terms:
        if term.wrapper.kind == "log1p" and term.name not in NEVER_POSITIVE:
            return f"wrapper log1p is for a term that is never positive, not for {term.name}"
    return None


def _images(recipe: "Recipe") -> str | None:
    synthesizer, schedule = recipe.synthesizer, recipe.schedule
    if synthesizer.kind == "generator":
        if synthesizer.steps != 1:
            return "a generator that is kept takes one step a batch: set generator_steps instead"
        if schedule.generator_steps == 0 and schedule.warmup_rounds == 0:
            return "with generator_steps = 0 and no warm-up the generator would never learn"
        return None
    if schedule.generator_steps == 0 and schedule.warmup_rounds == 0:
        return "with generator_steps = 0 and no warm-up the pool would never be filled"
    if schedule.fresh_batches:
        return f"{synthesizer.kind} makes images for the pool: set fresh_batches to 0"
    if recipe.memory.kind != "pool":
        return f"{synthesizer.kind} makes images for the pool: set memory kind pool"
    if recipe.selection != "all":
        return "selection is for images drawn at will, not for a pool"
    if synthesizer.kind == "noisy-layer" and not synthesizer.conditional:
        return "noisy-layer starts from label embeddings: it is conditional"
    return None


def _replay(recipe: "Recipe") -> str | None:
    memory, schedule = recipe.memory, recipe.schedule
    kept = recipe.synthesizer.kind == "generator"
    if memory.kind == "none" and recipe.update.kind != "plain":
        return f"update {recipe.update.kind} needs replayed images: set a memory"
    if kept and schedule.fresh_batches == 0:
        return "the student would never see the generator's images: set fresh_batches"
    if schedule.fresh == "mixed" and not kept:
        return "fresh mixed blends what a generator draws at will: set synthesizer generator"
    if schedule.shares_a_batch and schedule.fresh_batches != 1:
        return f"fresh {schedule.fresh} is one batch for the whole round: set fresh_batches to 1"
    if schedule.shares_a_batch and schedule.generator_steps == 0:
        return f"fresh {schedule.fresh} needs a generator step in the round"
    if schedule.fresh_batches > schedule.student_steps:
        return (
            f"fresh_batches ({schedule.fresh_batches}) exceeds student_steps "
            f"({schedule.student_steps}): batches would be drawn that nobody learns from"
        )
    alone = not schedule.shares_a_batch and schedule.fresh_batches < schedule.student_steps
    if memory.kind == "none" and alone:
        return (
            "without memory every student step needs a fresh batch: "
            "set memory, or fresh_batches = student_steps"
        )
    if alone and recipe.update.kind == "meta":
        return "update meta needs fresh images in every student step"
    if recipe.objective.compares_maps and recipe.update.kind == "meta":
        return "update meta compares logits alone: set attention and stages to 0"
    return None


def _numbers(recipe: "Recipe") -> str | None:
    memory, batch = recipe.memory, recipe.schedule.batch
    if memory.kind == "pool" and memory.capacity == 0:
        return "memory kind pool with a capacity of 0; without memory set kind none"
    if memory.kind == "pool" and memory.capacity < batch:
        return f"memory ({memory.capacity}) is smaller than a batch ({batch})"
    if memory.kind == "bank" and memory.capacity < 1:
        return "a bank holds at least one batch"
    if memory.kind != "none" and round(memory.share * batch) < 1:
        return f"a replay share of {memory.share} of a batch of {batch} is no image"
    if recipe.update.kind != "plain" and round(memory.share * batch) < 2:
        return f"update {recipe.update.kind} passes replayed images on their own: at least two"
    if recipe.objective.temperature <= 0:
        return f"temperature ({recipe.objective.temperature}) must be above 0"
    if not 0 <= recipe.average < 1:
        return f"average ({recipe.average}) is a decay between 0 and 1"
    return None


def lacking_batch_norm(recipe: "Recipe") -> Term | None:
    """The first term that a teacher without batch norm cannot serve and that is not optional."""
    for term in recipe.terms:
        if "batch norm" in NEEDS[term.name] and not term.where_possible:
            return term
    return None


def without_batch_norm(recipe: "Recipe") -> tuple[Term, ...]:
    """The terms that a teacher without batch norm can serve."""
    return tuple(term for term in recipe.terms if "batch norm" not in NEEDS[term.name])


def pair_fault(recipe: "Recipe", teacher: str, student: str) -> str | None:
    """Why a recipe does not suit a pair of registry architectures; None when it may.

    Args:
        recipe: The recipe.
        teacher: Architecture name; one that is not in the registry is not judged.
        student: Likewise.
    """
    first, second = FAMILIES.get(teacher), FAMILIES.get(student)
    term = lacking_batch_norm(recipe)
    if first and not first.batch_norm and term:
        return f"recipe {recipe.name} needs batch norm (term {term.name}); {teacher} has none"
    related = first is not None and second is not None and first.name == second.name
    if recipe.objective.compares_maps and not related:
        compared = "attention maps" if recipe.objective.attention else "what stages give"
        return (
            f"recipe {recipe.name} compares {compared}, which needs teacher and student of "
            f"one registry family, not {teacher} and {student}"
        )
    return None
