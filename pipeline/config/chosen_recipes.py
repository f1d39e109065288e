"""The recipes that a run file names, with its overrides. Imports no torch."""

from dataclasses import replace

from base.errors import InputError
from base.suggest import did_you_mean
from dfkd.composition import Adam, Schedule, SoftKl
from dfkd.recipe import Recipe, RecipeError
from dfkd.recipes import RECIPES
from dfkd.terms import ADVERSARIES
from pipeline.config.schema import RunConfig


def chosen_recipe(name: str, overrides: dict[str, float]) -> Recipe:
    """Return a recipe by name, with a run file's overrides.

    Raises:
        InputError: If there is no such recipe or setting, or the overridden recipe is invalid.
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


def tuning_recipe(config: RunConfig) -> Recipe:
    """Return the recipe of the fine-tuning.

    If it continues with the generator of the distillation, it has that generator's layout.

    Raises:
        InputError: As `chosen_recipe`, and if the recipe cannot use that generator.
    """
    recipe = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    if not config.quantize.draws or needs_fresh_generator(config):
        return recipe
    distilling = chosen_recipe(config.distill.recipe, config.distill.overrides)
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


def needs_fresh_generator(config: RunConfig) -> bool:
    """Return whether quantizing needs a generator that no distillation leaves."""
    recipe = chosen_recipe(config.distill.recipe, config.distill.overrides)
    left = config.student != "same" and keeps_generator(recipe) and config.quantize.continues
    return config.quantize.draws and not left


def keeps_generator(recipe: Recipe) -> bool:
    """Return whether training by a recipe leaves a generator that can draw more images."""
    return recipe.synthesizer.draws_on_demand


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
    terms = tuple(term for term in recipe.terms if term.name not in ADVERSARIES)
    return replace(recipe, terms=terms, schedule=schedule)
