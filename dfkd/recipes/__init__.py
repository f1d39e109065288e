"""The methods by name. One file each; a file holds a composition and no loop."""

from dfkd.recipe import Recipe
from dfkd.recipes.held_out import HELD_OUT
from dfkd.recipes.house import HOUSE
from dfkd.recipes.house_quantize import HOUSE_QUANTIZE

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (HOUSE, HOUSE_QUANTIZE)}
"""What a run file may ask for by name."""

__all__ = ["HELD_OUT", "HOUSE", "HOUSE_QUANTIZE", "RECIPES"]
