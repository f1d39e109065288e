"""Which parts of a recipe do not go together, and why. Needs no torch: it checks run files."""

from dfkd.composition import Composition, ImagePool, Log1p, MetaStep
from dfkd.needs import ADVERSARIES, LABELLED, NEEDS, NEVER_POSITIVE


def violated_rule(recipe: Composition) -> str | None:
    """Return why the parts of a recipe do not go together; None when they do."""
    names = {term.name for term in recipe.terms}
    return (
        _unknown(recipe, names)
        or _labels(recipe, names)
        or _student(recipe, names)
        or _whole_batches(recipe, names)
        or _images(recipe)
        or _fresh_batches(recipe)
        or _update(recipe)
        or _numbers(recipe)
    )


def _unknown(recipe: Composition, names: set[str]) -> str | None:
    unknown = sorted(names - NEEDS.keys())
    if unknown:
        return f"unknown term {unknown[0]!r}"
    if len(names) < len(recipe.terms):
        return "duplicate term; list each term once, with one weight"
    for term in recipe.terms:
        if isinstance(term.wrapper, Log1p) and term.name not in NEVER_POSITIVE:
            return f"wrapper Log1p needs a term that is never positive, not {term.name}"
    return None


def _labels(recipe: Composition, names: set[str]) -> str | None:
    synthesizer = recipe.synthesizer
    kind = type(synthesizer).__name__
    labelled = sorted(names & LABELLED)
    if labelled and synthesizer.labels != "classes":
        return f"term {labelled[0]} needs class labels, which this {kind} does not choose"
    if "soft-label" in names and synthesizer.labels != "soft":
        return f"term soft-label needs soft labels: use SoftLabelPixels instead of {kind}"
    if "class-balance" in names and labelled:
        return f"term class-balance is redundant beside {labelled[0]}: the labels are balanced"
    if "mode-seeking" in names and not synthesizer.labelled_latents:
        return f"term mode-seeking compares latents of one class: this {kind} has none"
    return None


def _student(recipe: Composition, names: set[str]) -> str | None:
    adversaries, schedule = names & ADVERSARIES, recipe.schedule
    if adversaries and schedule.generator_steps == 0:
        return (
            f"term {min(adversaries)} needs a student, but with generator_steps = 0 the generator "
            "learns in the warm-up only, without a student"
        )
    if adversaries == names and schedule.warmup_rounds:
        return "every term needs a student, so the warm-up would train nothing: set no warm-up"
    return None


def _whole_batches(recipe: Composition, names: set[str]) -> str | None:
    if "contrast" in names and recipe.synthesizer.augment != "two-views":
        return "term contrast compares two views of an image: set augment to two-views"
    for name, compared in (("contrast", "pairs of views"), ("inter-sample", "halves")):
        if name in names and recipe.selection != "all":
            return f"term {name} compares {compared} of a whole batch: set selection to all"
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
        return f"selection needs images drawn on demand, which {kind} does not give"
    if schedule.fresh == "mixed":
        return f"fresh mixed needs images drawn on demand, which {kind} does not give"
    return None


def _fresh_batches(recipe: Composition) -> str | None:
    schedule = recipe.schedule
    if schedule.shares_a_batch and schedule.fresh_batches != 1:
        return f"fresh {schedule.fresh} is one batch for the whole round: set fresh_batches to 1"
    if schedule.shares_a_batch and schedule.generator_steps == 0:
        return f"fresh {schedule.fresh} needs a generator step in the round"
    if schedule.fresh_batches > schedule.student_steps:
        return (
            f"fresh_batches ({schedule.fresh_batches}) exceeds student_steps "
            f"({schedule.student_steps}): some batches would not be used"
        )
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
