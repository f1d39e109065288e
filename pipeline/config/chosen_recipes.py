"""The recipes that a run file names, with its overrides. Imports no torch."""

from dataclasses import replace
from typing import Literal

from base.errors import InputError
from base.suggest import did_you_mean
from dfkd.compatibility import pair_fault
from dfkd.composition import Memory, Objective, Optimizer, Schedule, Update
from dfkd.recipe import Recipe, RecipeError
from dfkd.recipes import RECIPES, ZEROQ
from pipeline.config.schema import RunConfig, StudentSection


def check_recipes(config: RunConfig) -> None:
    """Refuse a run whose recipes or overrides make no sense.

    Raises:
        InputError: As `chosen_recipe`, and when a recipe does not suit teacher and student.
    """
    tuning = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    _require_effect(config)
    if config.quantize.draws and not goes_on(tuning):
        raise InputError(
            f"recipe {tuning.name} keeps no generator that could attack the quantized student; "
            "for quantize choose one that does, such as house-quantize"
        )
    section = config.student if isinstance(config.student, StudentSection) else config.teacher
    named = {"original": config.teacher.architecture, "student": section.architecture}
    for recipe, answering in running(config):
        reason = pair_fault(recipe, named[answering], section.architecture)
        if reason:
            raise InputError(reason)


def running(config: RunConfig) -> list[tuple[Recipe, Literal["original", "student"]]]:
    """The recipes that a run file has at work, each with the network that answers in it."""
    distilling = chosen_recipe(config.distill.recipe, config.distill.overrides)
    tuning = tuning_recipe(config)
    found: list[tuple[Recipe, Literal["original", "student"]]] = []
    if config.student != "same":
        found.append((distilling, "original"))
    if config.quantize.method == "batch-norm-images":
        found.append((ZEROQ, "original"))
    if needs_fresh_generator(config):
        found.append((taught_by_the_teacher(tuning), "original"))
    if config.quantize.tunes:
        found.append((tuning, config.quantize.teacher))
    return found


def tuning_recipe(config: RunConfig) -> Recipe:
    """The recipe of the fine-tuning, in the layout of the generator that it goes on with.

    Raises:
        InputError: As `chosen_recipe`, and when its parts do not go with that generator.
    """
    recipe = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    if not config.quantize.draws or needs_fresh_generator(config):
        return recipe
    taught = chosen_recipe(config.distill.recipe, config.distill.overrides)
    try:
        return replace(recipe, synthesizer=taught.synthesizer)
    except RecipeError as error:
        raise InputError(
            f"recipe {recipe.name} cannot go on with the generator of {taught.name}: {error}; "
            "set quantize.method to fresh"
        ) from None


def needs_fresh_generator(config: RunConfig) -> bool:
    """Whether quantizing asks for a generator that no distillation leaves to it."""
    recipe = chosen_recipe(config.distill.recipe, config.distill.overrides)
    taught = config.student != "same" and goes_on(recipe) and config.quantize.goes_on
    return config.quantize.draws and not taught


def _require_effect(config: RunConfig) -> None:
    section = config.quantize
    if section.overrides and not section.tunes and not needs_fresh_generator(config):
        raise InputError(
            f"quantize.overrides: {min(section.overrides)} has no effect: "
            f"method {section.method} only calibrates, and no generator is trained for it"
        )
    lost = sorted({"latent", "width"} & section.overrides.keys())
    if lost and section.goes_on and config.student != "same":
        raise InputError(
            f"quantize.overrides: {lost[0]} has no effect: "
            "the generator that taught the student goes on as it is"
        )


def goes_on(recipe: Recipe) -> bool:
    """Whether a recipe leaves a generator that can draw at will, for the quantized student."""
    return recipe.synthesizer.kind == "generator"


def taught_by_the_teacher(recipe: Recipe) -> Recipe:
    """The recipe's warm-up alone: what plays no part in it is as by default.

    Recipes of which this is the same, but for their words, leave the same generator.
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
        raise InputError(f"unknown recipe {name!r}{did_you_mean(name, RECIPES)}")
    recipe = RECIPES[name]
    for setting in overrides:
        if setting not in {*recipe.settings, *recipe.idle}:
            known = did_you_mean(setting, recipe.settings)
            raise InputError(f"recipe {name} has no setting {setting!r} to override{known}")
    try:
        return recipe.overridden(overrides)
    except RecipeError as error:
        raise InputError(f"recipe {name}: {error}") from None
