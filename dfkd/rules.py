"""Rules for combining parts of a recipe, without torch, so that checking a run file is fast."""

from dfkd.composition import Composition, ImagePool, Log1p, MetaStep
from dfkd.terms import TERMS


def violated_rule(recipe: Composition) -> str | None:
    """Return why the parts of a recipe cannot be combined; None if they can.

    Examples:
        >>> from dfkd.composition import Schedule, Term
        >>> terms = (Term("certainty", 1.0),)
        >>> violated_rule(Composition(terms=terms))
        >>> violated_rule(Composition(terms=terms, schedule=Schedule(fresh_batches=0)))
        "the student would never see the generator's images: set fresh_batches"
    """
    names = [term.name for term in recipe.terms]
    return (
        _terms(recipe, names)
        or _labels(recipe, names)
        or _student(recipe, names)
        or _whole_batches(recipe, names)
        or _images(recipe)
        or _fresh_batches(recipe)
        or _update(recipe)
        or _numbers(recipe)
    )


def _terms(recipe: Composition, names: list[str]) -> str | None:
    for term in recipe.terms:
        if term.name not in TERMS:
            return f"unknown term {term.name!r}"
        if names.count(term.name) > 1:
            return f"duplicate term {term.name}: list it once, with one weight"
        if isinstance(term.wrapper, Log1p) and not TERMS[term.name].never_positive:
            return f"wrapper Log1p needs a term that is never positive, not {term.name}"
    return None


def _labels(recipe: Composition, names: list[str]) -> str | None:
    synthesizer, kind = recipe.synthesizer, type(recipe.synthesizer).__name__
    for name in names:
        inputs = TERMS[name].inputs
        if "labels" in inputs and synthesizer.labels != "classes":
            return f"term {name} needs class labels, but this {kind} has none"
        if "soft_labels" in inputs and synthesizer.labels != "soft":
            return f"term {name} needs soft labels: use SoftLabelPixels instead of {kind}"
        if "latents" in inputs and not synthesizer.labelled_latents:
            return (
                f"term {name} needs latents with a class: use a conditional generator, not {kind}"
            )
    labelled = next((name for name in names if "labels" in TERMS[name].inputs), None)
    balance = next((name for name in names if TERMS[name].balances_classes), None)
    if labelled and balance:
        return f"term {balance} has no use beside {labelled}: the labels are already balanced"
    return None


def _student(recipe: Composition, names: list[str]) -> str | None:
    schedule = recipe.schedule
    adversaries = [name for name in names if TERMS[name].needs_student]
    if adversaries and schedule.generator_steps == 0:
        return (
            f"term {adversaries[0]} needs a student, but with generator_steps = 0 the generator "
            "learns in the warm-up only, without a student"
        )
    if len(adversaries) == len(names) and schedule.warmup_rounds:
        return "every term needs a student, so a warm-up trains nothing: set warmup_rounds to 0"
    return None


def _whole_batches(recipe: Composition, names: list[str]) -> str | None:
    for name in names:
        entry = TERMS[name]
        if entry.two_views and recipe.synthesizer.augment != "two-views":
            return f"term {name} compares two views of an image: set augment to two-views"
        if entry.compares and recipe.selection != "all":
            return f"term {name} compares {entry.compares} of a whole batch: set selection to all"
    return None


def _images(recipe: Composition) -> str | None:
    synthesizer, schedule = recipe.synthesizer, recipe.schedule
    kind = type(synthesizer).__name__
    if schedule.generator_steps == 0 and schedule.warmup_rounds == 0:
        return f"generator_steps = 0 without a warm-up: {kind} would never make or learn anything"
    if synthesizer.draws_on_demand:
        if schedule.fresh_batches == 0:
            return "the student would never see the generator's images: set fresh_batches"
        return None
    if schedule.fresh_batches:
        return f"{kind} makes images for an image pool: set fresh_batches to 0"
    if not isinstance(recipe.memory, ImagePool):
        return f"{kind} makes images for an image pool: set memory to ImagePool"
    if recipe.selection != "all":
        return f"selection needs images drawn on demand, but {kind} fills an image pool"
    if schedule.fresh == "mixed":
        return f"fresh = mixed needs images drawn on demand, but {kind} fills an image pool"
    return None


def _fresh_batches(recipe: Composition) -> str | None:
    schedule = recipe.schedule
    if schedule.shares_a_batch and schedule.fresh_batches != 1:
        return (
            f"fresh = {schedule.fresh} uses one batch for the whole round: set fresh_batches to 1"
        )
    if schedule.shares_a_batch and schedule.generator_steps == 0:
        return f"fresh = {schedule.fresh} needs a generator step: set generator_steps to 1 or more"
    if schedule.fresh_batches > schedule.student_steps:
        return (
            f"fresh_batches ({schedule.fresh_batches}) exceeds student_steps "
            f"({schedule.student_steps}): some batches would not be used"
        )
    if schedule.procedural_batches and not isinstance(recipe.memory, ImagePool):
        return "procedural images are replayed from an image pool: set memory to ImagePool"
    if recipe.memory is None and _steps_without_fresh_batch(recipe):
        return (
            "without memory every student step needs a fresh batch: "
            "set memory, or fresh_batches = student_steps"
        )
    return None


def _steps_without_fresh_batch(recipe: Composition) -> bool:
    schedule = recipe.schedule
    return not schedule.shares_a_batch and schedule.fresh_batches < schedule.student_steps


def _update(recipe: Composition) -> str | None:
    if recipe.update is None:
        return None
    kind = type(recipe.update).__name__
    if recipe.memory is None:
        return f"update {kind} needs replayed images: set a memory"
    if recipe.replayed < 2:
        return f"update {kind} needs at least two replayed images in a step"
    if isinstance(recipe.update, MetaStep):
        if _steps_without_fresh_batch(recipe):
            return "update MetaStep needs fresh images in every student step"
        if recipe.objective.compares_maps:
            return "update MetaStep compares logits only: set attention and stages to 0"
    return None


def _numbers(recipe: Composition) -> str | None:
    memory, batch = recipe.memory, recipe.schedule.batch
    if isinstance(memory, ImagePool) and memory.capacity < batch:
        return f"memory ({memory.capacity}) is smaller than a batch ({batch})"
    if getattr(memory, "capacity", 1) < 1:
        return "memory (0) must hold at least one batch"
    if memory is not None and recipe.replayed < 1:
        return f"replay_share ({memory.share}) of a batch of {batch} is less than one image"
    if getattr(recipe.objective, "temperature", 1.0) <= 0:
        return "temperature must be above 0"
    if not 0 <= recipe.average < 1:
        return f"average ({recipe.average}) must be at least 0 and below 1"
    return None
