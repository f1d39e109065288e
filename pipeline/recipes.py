"""The recipes that a run file names, with its overrides. Imports no torch."""

import difflib

from dfkd.recipe import Recipe, RecipeError
from dfkd.recipes import RECIPES
from pipeline.config import RunConfig
from pipeline.errors import InputError


def check_recipes(config: RunConfig) -> None:
    """Refuse a run whose recipes or overrides make no sense.

    Raises:
        InputError: As `chosen_recipe`.
    """
    for section in (config.distill, config.quantize):
        chosen_recipe(section.recipe, section.overrides)


def chosen_recipe(name: str, overrides: dict[str, float]) -> Recipe:
    """A recipe by name, with a run file's overrides.

    Raises:
        InputError: For an unknown recipe or setting; names the nearest right one.
    """
    if name not in RECIPES:
        nearest = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.0)[0]
        raise InputError(f"unknown recipe {name!r}; did you mean {nearest!r}?")
    recipe = RECIPES[name]
    for setting in overrides:
        if setting not in recipe.settings:
            nearest = difflib.get_close_matches(setting, recipe.settings, n=1, cutoff=0.0)[0]
            raise InputError(
                f"recipe {name} has no setting {setting!r} to override; did you mean {nearest!r}?"
            )
    try:
        return recipe.overridden(overrides)
    except RecipeError as error:
        raise InputError(f"recipe {name}: {error}") from None
