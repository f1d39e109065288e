"""The recipes of a run: those that its file names, with its overrides, and the internal ones.

The batch of every recipe is limited for large images, unless the run file sets it.
Imports no torch.
"""

import math
from dataclasses import replace

from base.errors import InputError
from base.suggest import did_you_mean
from dfkd.composition import Adam, KeptGenerator, Schedule, SoftKl
from dfkd.recipe import Recipe, RecipeError
from dfkd.recipes import RECIPES
from dfkd.recipes.held_out import HELD_OUT
from dfkd.recipes.zeroq import ZEROQ
from dfkd.terms import TERMS
from pipeline.config.batch_limit import with_limited_batch
from pipeline.config.own_recipes import is_own, own_recipe
from pipeline.config.schema import RunConfig
from pipeline.config.sections import DistillSection, QuantizeSection

MAX_DRAWN_SIDE = 112
"""Largest height or width of an image that the held-out generator draws in full. It draws larger
ones at half the height and width, because it would cost as much as the teacher otherwise."""


ADJUSTING_PASSES = 4
"""Passes of the calibration images if ranges and scales are adjusted: one without adjustments, one
after the equalization, and two to choose ranges by their squared error."""


def chosen_recipe(name: str, overrides: dict[str, float]) -> Recipe:
    """Return a recipe by name, with a run file's overrides.

    Args:
        name: A key of `RECIPES`, or `package.module:NAME`, which is imported.
        overrides: New values of the recipe's numbers.

    Raises:
        InputError: If there is no such recipe or setting, or the overridden recipe is invalid.
    """
    if is_own(name):
        recipe = own_recipe(name)
    elif name in RECIPES:
        recipe = RECIPES[name]
    else:
        raise InputError(f"unknown recipe {name!r}{did_you_mean(name, RECIPES)}")
    for setting in overrides:
        if setting not in {*recipe.settings, *recipe.idle}:
            known = did_you_mean(setting, recipe.settings)
            raise InputError(f"recipe {name} has no setting {setting!r} to override{known}")
    try:
        return recipe.overridden(overrides)
    except RecipeError as error:
        raise InputError(f"recipe {name}: {error}") from None


def distilling_recipe(config: RunConfig) -> Recipe:
    """Return the recipe of the distillation.

    Raises:
        InputError: As `chosen_recipe`.
    """
    return _section_recipe(config, config.distill, student=True)


def _section_recipe(
    config: RunConfig, section: DistillSection | QuantizeSection, *, student: bool
) -> Recipe:
    """Return the recipe of a section; a batch that the run file sets is not limited.

    Args:
        config: The run file.
        section: One of its sections.
        student: Whether a student learns, or the generator alone.
    """
    recipe = chosen_recipe(section.recipe, section.overrides)
    if "batch" in section.overrides:
        return recipe
    return with_limited_batch(recipe, config.input.shape, student=student)


def held_out_recipe(config: RunConfig) -> Recipe:
    """Return the recipe of the generators that draw the probes.

    They draw images above `MAX_DRAWN_SIDE` at half the height and width.
    """
    recipe = with_limited_batch(HELD_OUT, config.input.shape, student=False)
    synthesizer = recipe.synthesizer
    assert isinstance(synthesizer, KeptGenerator)
    if max(config.input.shape[1:]) <= MAX_DRAWN_SIDE:
        return recipe
    network = replace(synthesizer.network, reduction=2)
    return replace(recipe, synthesizer=replace(synthesizer, network=network))


def zeroq_recipe(config: RunConfig) -> Recipe:
    """Return ZeroQ's recipe; with a smaller batch it makes its images in several rounds."""
    recipe = with_limited_batch(ZEROQ, config.input.shape, student=False)
    rounds = math.ceil(ZEROQ.schedule.batch / recipe.schedule.batch)
    return replace(recipe, schedule=replace(recipe.schedule, warmup_rounds=rounds))


def tuning_recipe(config: RunConfig) -> Recipe:
    """Return the recipe of the fine-tuning.

    If it continues with the generator of the distillation, it has that generator's layout.

    Raises:
        InputError: As `chosen_recipe`, and if the recipe cannot use that generator.
    """
    recipe = _section_recipe(config, config.quantize, student=True)
    if not config.quantize.draws or needs_fresh_generator(config):
        return recipe
    distilling = distilling_recipe(config)
    try:
        return replace(recipe, synthesizer=distilling.synthesizer)
    except RecipeError as error:
        raise InputError(
            f"recipe {recipe.name} cannot continue with the generator of {distilling.name}: "
            f"{error}; set quantize.method: fresh"
        ) from None


def fine_tuning_recipe(config: RunConfig) -> Recipe:
    """Return the recipe of the fine-tuning, with a frozen generator if the method is "frozen".

    Raises:
        InputError: As `tuning_recipe`.
    """
    recipe = tuning_recipe(config)
    return frozen_generator_recipe(recipe) if config.quantize.method == "frozen" else recipe


def adjusts(config: RunConfig) -> bool:
    """Return whether ranges and scales are adjusted before the fine-tuning.

    Published methods of quantization stay as published.

    Raises:
        InputError: As `chosen_recipe`.
    """
    section = config.quantize
    published = chosen_recipe(section.recipe, section.overrides).role == "published-quantization"
    return section.adjust == "auto" and section.draws and not published


def calibration_passes(config: RunConfig) -> int:
    """Return the student's passes for calibration.

    Raises:
        InputError: As `chosen_recipe`.
    """
    passes = ADJUSTING_PASSES if adjusts(config) else 1
    return passes * config.quantize.calibration_images


def needs_fresh_generator(config: RunConfig) -> bool:
    """Return whether quantizing needs a generator that no distillation leaves."""
    recipe = distilling_recipe(config)
    left = config.student != "same" and keeps_generator(recipe) and config.quantize.continues
    return config.quantize.draws and not left


def keeps_generator(recipe: Recipe) -> bool:
    """Return whether training by a recipe leaves a generator that can draw more images."""
    return recipe.synthesizer.draws_on_demand


def fresh_generator_recipe(config: RunConfig) -> Recipe:
    """Return the recipe that trains a generator for the quantization from the teacher alone.

    Raises:
        InputError: As `chosen_recipe`.
    """
    return warm_up_recipe(_section_recipe(config, config.quantize, student=False))


def warm_up_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe's warm-up alone; parts that it does not use have their defaults.

    Recipes with the same warm-up therefore share one generator.
    """
    schedule = Schedule(batch=recipe.schedule.batch, warmup_rounds=recipe.schedule.warmup_rounds)
    return replace(
        recipe,
        memory=None,
        objective=SoftKl(),
        update=None,
        schedule=schedule,
        student=Adam(0.0),
        average=0.0,
    )


def frozen_generator_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe with a generator that is no longer trained."""
    schedule = replace(
        recipe.schedule,
        generator_steps=0,
        fresh="new" if recipe.schedule.shares_a_batch else recipe.schedule.fresh,
        warmup_rounds=max(1, recipe.schedule.warmup_rounds),
    )
    terms = tuple(term for term in recipe.terms if not TERMS[term.name].needs_student)
    return replace(recipe, terms=terms, schedule=schedule)
