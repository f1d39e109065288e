"""Recipes from a user's own module, as `package.module:NAME`."""

from typing import Any

from base.errors import InputError
from base.suggest import did_you_mean
from dfkd.recipe import Recipe
from pipeline.config.own_code import import_own_module, require_own_code_allowed


def is_own(name: str) -> bool:
    """Return whether the name of a recipe is that of an object in a module."""
    return ":" in name


def own_modules(*names: str) -> tuple[str, ...]:
    """Return the modules of those recipes that are a user's own."""
    return tuple(name.partition(":")[0] for name in names if is_own(name))


def own_recipe(name: str) -> Recipe:
    """Import a module and return a recipe from it.

    The module may add terms, memories and synthesizers to the tables of dfkd.

    Args:
        name: `package.module:NAME`.

    Raises:
        InputError: If own code is refused, or there is no such recipe.
    """
    require_own_code_allowed(f"recipe {name}: a module of your own", "choose a recipe by its name")
    module_name, _, attribute = name.partition(":")
    module = import_own_module(f"recipe {name}", module_name)
    found: Any = getattr(module, attribute, None)
    if isinstance(found, Recipe):
        return found
    recipes = [key for key, value in vars(module).items() if isinstance(value, Recipe)]
    if found is None:
        raise InputError(
            f"recipe {name}: {module_name} has no {attribute!r}"
            f"{did_you_mean(attribute, recipes) or '; define a dfkd.Recipe there'}"
        )
    raise InputError(
        f"recipe {name}: is of the type {type(found).__name__}, not dfkd.Recipe"
        f"{did_you_mean(attribute, recipes) or '; define a dfkd.Recipe there'}"
    )
