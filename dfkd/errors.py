"""The error that every part of dfkd raises for a recipe that cannot be used."""


class RecipeError(ValueError):
    """A recipe, or an override of one, is invalid or does not suit the networks."""
