"""The recipes that a run file names, with its overrides. Imports no torch."""

from dataclasses import replace

from dfkd.compatibility import pair_fault
from dfkd.composition import Memory, Objective, Optimizer, Schedule, Update
from dfkd.recipe import Recipe, RecipeError
from dfkd.recipes import RECIPES, ZEROQ
from pipeline.config import RunConfig, StudentSection
from pipeline.errors import InputError
from targets.nearest import instead_of


def check_recipes(config: RunConfig) -> None:
    """Refuse a run whose recipes or overrides make no sense.

    Raises:
        InputError: As `chosen_recipe`, and when a recipe does not suit teacher and student.
    """
    distilling = chosen_recipe(config.distill.recipe, config.distill.overrides)
    tuning = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    _require_effect(config)
    if config.quantize.method == "batch-norm-images":
        tuning = ZEROQ
    elif not goes_on(tuning):
        raise InputError(
            f"recipe {tuning.name} keeps no generator that could attack the quantized student; "
            "for quantize choose one that does, such as house-quantize"
        )
    section = config.student if isinstance(config.student, StudentSection) else config.teacher
    teacher, student = config.teacher.architecture, section.architecture
    answering = teacher if config.quantize.teacher == "original" else student
    for recipe, answers in ((distilling, teacher), (tuning, answering)):
        reason = pair_fault(recipe, answers, student)
        if reason:
            raise InputError(reason)


def _require_effect(config: RunConfig) -> None:
    section = config.quantize
    lost = sorted({"latent", "width"} & section.overrides.keys())
    if lost and section.goes_on and config.student != "same":
        raise InputError(
            f"quantize.overrides: {lost[0]} has no effect: "
            "the generator that taught the student goes on as it is"
        )


def goes_on(recipe: Recipe) -> bool:
    """Whether a recipe leaves a generator that can draw at will, for the quantized student."""
    return recipe.synthesizer.kind == "generator"


GENERATOR_PARTS = ("terms", "synthesizer", "selection", "generator", "schedule")
"""Axes of a recipe that a generator depends on which learns from the teacher alone."""


def taught_by_the_teacher(recipe: Recipe) -> Recipe:
    """What of a recipe its warm-up depends on; all else is as by default.

    Two recipes of which this is the same have the same generator after it.
    """
    schedule = Schedule(batch=recipe.schedule.batch, warmup_rounds=recipe.schedule.warmup_rounds)
    return replace(
        recipe,
        memory=Memory(),
        objective=Objective(),
        update=Update(),
        schedule=schedule,
        student=Optimizer(0.0),
        average=0.0,
    )


def chosen_recipe(name: str, overrides: dict[str, float]) -> Recipe:
    """A recipe by name, with a run file's overrides.

    Raises:
        InputError: For an unknown recipe or setting; names the nearest right one.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}{instead_of(name, RECIPES)}")
    recipe = RECIPES[name]
    for setting in overrides:
        if setting not in {*recipe.settings, *recipe.idle}:
            known = instead_of(setting, recipe.settings)
            raise InputError(f"recipe {name} has no setting {setting!r} to override{known}")
    try:
        return recipe.overridden(overrides)
    except RecipeError as error:
        raise InputError(f"recipe {name}: {error}") from None
