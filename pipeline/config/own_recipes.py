"""Recipes from a user's own module, as `package.module:NAME`."""

import os
from importlib import import_module
from typing import Any

from base.errors import InputError, first_line
from base.suggest import did_you_mean
from dfkd.recipe import Recipe

FACTORIES_VARIABLE = "DATAFREE_EDGE_FACTORIES"
"""Environment variable: "allowed" (the default), or "refused" on a worker that runs the run files
of people who must not run code there."""


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
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"recipe {name}: {error}; add its folder to PYTHONPATH, or install it"
        ) from None
    except Exception as error:  # The user's module can raise anything.
        raise InputError(
            f"recipe {name}: importing it failed: {type(error).__name__}: {first_line(error)}; "
            "correct the module"
        ) from None
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


def require_own_code_allowed(subject: str, remedy: str) -> None:
    """Raise InputError if this machine refuses to import code that a run file names.

    Args:
        subject: What would import code, to begin the message.
        remedy: What the user can choose instead.

    Raises:
        InputError: If `FACTORIES_VARIABLE` is "refused", or has an unknown value.
    """
    setting = os.environ.get(FACTORIES_VARIABLE, "allowed")
    if setting == "refused":
        raise InputError(
            f"{subject} imports code, which this machine refuses; {remedy}, or set "
            f"{FACTORIES_VARIABLE}=allowed"
        )
    if setting != "allowed":
        raise InputError(f"{FACTORIES_VARIABLE} is {setting!r}; set it to refused or allowed")
