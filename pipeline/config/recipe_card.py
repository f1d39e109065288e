"""Recipes as tables for the terminal."""

from dataclasses import fields, is_dataclass
from typing import Any

from rich.table import Column, Table

from dfkd.compatibility import lacking_batch_norm
from dfkd.composition import Term
from dfkd.recipe import Recipe
from dfkd.recipes import RECIPES


def recipe_list() -> Table:
    """Return a table of all recipes: name, what each needs, and its source."""
    table = Table(
        Column("recipe", no_wrap=True), "needs", "from", title="recipes", title_justify="left"
    )
    for recipe in RECIPES.values():
        needs = "batch norm" if lacking_batch_norm(recipe) else ""
        table.add_row(recipe.name, needs, recipe.citation)
    return table


def recipe_card(recipe: Recipe) -> Table:
    """Return a table of one recipe: its parts, what can be overridden, figures and notes."""
    table = Table(show_header=False, title=recipe.name, title_justify="left")
    table.add_row("from", recipe.citation)
    for term in recipe.terms:
        table.add_row(f"term {term.name}", _term(term))
    for axis in (
        "synthesizer",
        "memory",
        "objective",
        "update",
        "schedule",
        "generator",
        "student",
    ):
        part = getattr(recipe, axis)
        table.add_row(axis, "none" if part is None else described(part))
    table.add_row("selection", recipe.selection)
    overrides = ", ".join(f"{name} {value:g}" for name, value in recipe.settings.items())
    table.add_row("overrides", overrides)
    for what, figure in recipe.reported.items():
        table.add_row("reported", f"{what}: {figure}")
    for note in recipe.notes:
        table.add_row("note", note)
    return table


def _term(term: Term) -> str:
    options = [f"{name} {value}" for name, value in term.options.items()]
    wrapper = [] if term.wrapper is None else [described(term.wrapper)]
    optional = ["left out where the teacher lacks batch norm"] if term.where_possible else []
    return ", ".join([f"weight {term.weight:g}", *options, *wrapper, *optional])


def described(part: Any) -> str:
    """Return the class of a part and its fields that differ from their defaults."""
    assert is_dataclass(part)
    words = [type(part).__name__]
    for field in fields(part):
        value = getattr(part, field.name)
        if value != field.default:
            shown = described(value) if is_dataclass(value) else value
            words.append(f"{field.name.replace('_', ' ')} {shown}")
    return ", ".join(words)
