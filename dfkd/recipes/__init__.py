"""The recipes, one file for each method. Files are discovered; no other file lists them.

Every module in this folder is imported, and the `Recipe` objects at its top level are collected.
Collections of recipes are in alphabetical order of their names.
"""

from importlib import import_module
from pkgutil import iter_modules

from dfkd.recipe import Recipe, Role

__all__ = ["EVERY_RECIPE", "FOR_QUANTIZATION", "OTHER_DATA", "PUBLISHED", "RECIPES", "with_role"]


def _discover() -> dict[str, Recipe]:
    found: dict[str, Recipe] = {}
    modules: dict[str, str] = {}
    for name in sorted(info.name for info in iter_modules(__path__)):
        for value in vars(import_module(f"{__name__}.{name}")).values():
            if not isinstance(value, Recipe):
                continue
            if found.setdefault(value.name, value) is not value:
                raise ValueError(
                    f"duplicate recipe name {value.name!r}: {modules[value.name]}.py and {name}.py "
                    "define it; rename one of them"
                )
            modules.setdefault(value.name, name)
    return dict(sorted(found.items()))


EVERY_RECIPE: dict[str, Recipe] = _discover()
"""All recipes by name, including internal ones."""

RECIPES: dict[str, Recipe] = {
    name: recipe for name, recipe in EVERY_RECIPE.items() if recipe.role != "internal"
}
"""The recipes that a run file can name."""


def with_role(role: Role) -> tuple[Recipe, ...]:
    """Return the recipes with this role.

    Examples:
        >>> [recipe.name for recipe in with_role("published-quantization")]
        ['adadfq', 'gdfq']
    """
    return tuple(recipe for recipe in EVERY_RECIPE.values() if recipe.role == role)


PUBLISHED = with_role("published")
"""The published methods at their papers' defaults."""

OTHER_DATA = with_role("published-other-data")
"""Published methods at their papers' defaults for a second data set."""

FOR_QUANTIZATION = with_role("published-quantization")
"""Published methods whose student is the quantized teacher."""
