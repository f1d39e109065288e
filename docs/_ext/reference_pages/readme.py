"""The table of methods in README.md."""

import re

from dfkd.recipe import Recipe
from reference_pages.markdown import table
from reference_pages.recipes import needs_batch_norm, recipes_in_order
from reference_pages.scores import NOT_MEASURED, final_accuracy


def readme_methods() -> str:
    """Return the table."""
    header = ("method", "paper", "needs batch norm", "LeNet-5 with batch norm", "LeNet-5")
    rows = []
    for recipe in recipes_in_order():
        scores = (_score(recipe, "lenet5-bn"), _score(recipe, "lenet5"))
        needs = "yes" if needs_batch_norm(recipe) else "no"
        rows.append((f"`{recipe.name}`", paper(recipe.citation), needs, *scores))
    return table(header, rows)


def paper(citation: str) -> str:
    """Return authors and year of a citation; "ours" for a recipe of this project."""
    if citation.startswith("Ours"):
        return "ours"
    years = re.findall(r"\b(?:19|20)\d\d\b", citation)
    return " ".join([citation.split(",")[0], *years[:1]])


def _score(recipe: Recipe, teacher: str) -> str:
    if teacher == "lenet5" and needs_batch_norm(recipe):
        return "refused"
    score = final_accuracy(recipe.name, teacher)
    return "-" if score == NOT_MEASURED else score.split(" ")[0]
