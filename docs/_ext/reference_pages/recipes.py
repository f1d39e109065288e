"""One page a recipe, and the table of all methods, from the recipe table."""

from dataclasses import MISSING, fields, is_dataclass
from statistics import mean
from typing import Any

from dfkd.compatibility import lacking_batch_norm
from dfkd.recipe import Recipe
from dfkd.recipes import RECIPES
from pipeline.config.sections import DistillSection
from reference_pages.markdown import code, table
from reference_pages.scores import by_cell, final_accuracy, measured_rows, spread

TEXT_FIELDS = ("name", "citation", "role", "reported", "notes")


def needs_batch_norm(recipe: Recipe) -> bool:
    """Return whether a teacher without batch norm is refused."""
    return lacking_batch_norm(recipe) is not None


def recipes_in_order() -> list[Recipe]:
    """Return all recipes that a run file can name, the default one first."""
    default = DistillSection().recipe
    return sorted(RECIPES.values(), key=lambda recipe: recipe.name != default)


def methods_table() -> str:
    """Return the table of all recipes."""
    rows = []
    for recipe in recipes_in_order():
        name = recipe.name
        rows.append(
            (
                code(name),
                recipe.citation,
                "yes" if needs_batch_norm(recipe) else "no",
                final_accuracy(name, "lenet5-bn"),
                _score_without_batch_norm(recipe),
            )
        )
    return table(("recipe", "from", "needs batch norm", "LeNet-5 with batch norm", "LeNet-5"), rows)


def _score_without_batch_norm(recipe: Recipe) -> str:
    return "refused" if needs_batch_norm(recipe) else final_accuracy(recipe.name, "lenet5")


def recipe_pages() -> dict[str, str]:
    """Return the page of every recipe by its name."""
    return {name: _recipe_page(recipe) for name, recipe in RECIPES.items()}


def _recipe_page(recipe: Recipe) -> str:
    parts = [
        f"# {recipe.name}",
        recipe.citation.rstrip(".") + ".",
        f"Needs batch norm in the teacher: {'yes' if needs_batch_norm(recipe) else 'no'}.",
        "## Composition",
        "Values that equal the default of their part are left out.",
        table(("part", "what it is"), _composition(recipe)),
        "## Settings that a run file can override",
        table(("name", "value"), [(code(n), f"{v:g}") for n, v in recipe.settings.items()]),
        "## Published figures",
        _published(recipe),
        "## Measured here",
        _measured(recipe),
    ]
    if recipe.notes:
        parts += ["## Differences from the paper", "\n".join(f"- {note}" for note in recipe.notes)]
    return "\n\n".join(parts) + "\n"


def _composition(recipe: Recipe) -> list[tuple[str, str]]:
    rows = []
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name == "terms":
            rows += [(f"term {term.name}", described(term, skip=("name",))) for term in value]
        elif field.name not in TEXT_FIELDS:
            rows.append((field.name.replace("_", " "), described(value)))
    return rows


def described(value: Any, skip: tuple[str, ...] = ()) -> str:
    """Return a part of a recipe in words: its class, then the fields that differ from defaults."""
    if not is_dataclass(value):
        return "none" if value is None else _plain(value)
    shown = [
        f"{f.name.replace('_', ' ')} {_nested(getattr(value, f.name))}"
        for f in fields(value)
        if f.name not in skip and getattr(value, f.name) != _default(f)
    ]
    words = [] if skip else [type(value).__name__]
    return ": ".join(filter(None, [*words, ", ".join(shown)]))


def _nested(value: Any) -> str:
    return f"({described(value)})" if is_dataclass(value) else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return " and ".join(map(_plain, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _default(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _published(recipe: Recipe) -> str:
    if not recipe.reported:
        return "None."
    return table(("setting", "reported"), list(recipe.reported.items()))


def _measured(recipe: Recipe) -> str:
    cells = by_cell(measured_rows(recipe.name))
    if not cells:
        return "Not measured on MNIST."
    rows = []
    for (teacher, setting), found in sorted(cells.items()):
        rows.append(
            (
                teacher,
                found[0]["student"],
                setting,
                str(len(found)),
                f"{found[0]['teacher_accuracy']:.2f}",
                spread([row["final"] for row in found]),
                f"{mean(row['passes'] for row in found):,.0f}",
            )
        )
    header = ("teacher", "student", "setting", "seeds", "teacher accuracy", "student accuracy")
    return (
        "Accuracy in percent on real test images. `common` is one setting for all methods, `paper` "
        "the paper's own; every run of a teacher costs the same number of teacher passes. The "
        "[benchmark page](../results/mnist.md) says how this was measured.\n\n"
    ) + table((*header, "teacher passes"), rows)
