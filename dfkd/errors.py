"""The error that dfkd raises for a recipe that cannot be used."""


class RecipeError(ValueError):
    """A recipe or an override is invalid, or the recipe cannot be used with the networks."""
