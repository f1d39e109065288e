"""Merge the rows of finished runs into cifar10.json, and render cifar10.md."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import result_pages
from benchmarks.cifar10.slices import write_atomically

PASSES = 20_000_000
"""Teacher passes of a run in these tables."""

RECIPES = ("house", "dafl-cifar10", "dfad-cifar10", "dfq-akd", "cmi", "fast-datafree", "pre-dfkd")
"""Recipes that every table lists, even if not measured; a table lists others once they are
measured."""

PUBLISHED: dict[str, dict[str, float]] = {
    "resnet34-resnet18": {
        "dafl-cifar10": 92.22,
        "dfad-cifar10": 93.3,
        "dfq-akd": 94.61,
        "cmi": 94.84,
        "fast-datafree": 94.05,
        "pre-dfkd": 94.1,
    },
    "wrn-40-2-wrn-16-1": {
        "dafl-cifar10": 65.71,
        "dfq-akd": 86.14,
        "cmi": 90.01,
        "fast-datafree": 89.29,
    },
    "wrn-40-2-wrn-16-2": {
        "dafl-cifar10": 81.55,
        "dfq-akd": 92.01,
        "cmi": 92.52,
        "fast-datafree": 92.45,
    },
}
"""Published peak accuracies of the student, by pair and recipe. The teachers have 95.4 to 95.7
(ResNet-34) and 94.87 (WRN-40-2)."""

MEASURED = (
    "teacher_accuracy",
    "seed",
    "final",
    "mu",
    "deviation",
    "peak",
    "last10",
    "passes",
    "stretch",
    "images",
    "student_steps",
    "minutes",
    "device",
    "precision",
)
"""Keys of a row that are None until the row is measured."""

HEADING = """\
# Data-free distillation on CIFAR-10

Accuracies are in percent on the 10,000 test images. The student is evaluated {evaluations} times in
a run (after each round, if there are fewer), evenly in teacher passes. No evaluation influences a
run.

- `final` is the accuracy of the student that the run returns; `mu` and `deviation` are the mean and
  the standard deviation of all evaluations, `last10` is the mean of the last ten. `peak` is the
  best evaluation, which cannot be selected without test data.
- `passes` are teacher passes: per image, a forward pass counts 1 and a forward pass with backward
  pass 3. `stretch` is the length of the run divided by the published length. `minutes` is the
  duration of the distillation, without the training of the teacher.
- `published` is the peak accuracy that the authors of the method, or others, report for it. The
  teachers have 95.4 to 95.7 (ResNet-34) and 94.87 (WRN-40-2). The value of fast-datafree was
  reported for ten steps per batch, but the recipe has five. Published runs differ in teacher,
  length and number of images, so compare with care.
"""

NOT_MEASURED_NOTE = """\
Rows with `not measured` have never been run, because no data-centre GPU was available. The command
below measures one row. It exits with 75 when its time slice is over; give the same command again
until it exits with 0. Then add the row with `--collect`:

    python -m benchmarks.cifar10 DATA --pair PAIR --recipe RECIPE --passes {passes} \\
        --slice 540 --state STATE --seed 0
    python -m benchmarks.cifar10 --collect STATE
"""


def collect(folders: Iterable[Path], evaluations: int) -> None:
    """Add the rows of finished runs to results/cifar10.json and rewrite cifar10.md.

    Args:
        folders: State folders of finished runs; with none, only the page is rewritten.
        evaluations: Number of evaluations in a run, which the page states.

    Raises:
        FileNotFoundError: If a folder has no row.json, because its run is not finished.
    """
    path = result_pages.RESULTS / "cifar10.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    rows = merge(rows, [json.loads((folder / "row.json").read_text()) for folder in folders])
    _write(path, json.dumps(rows, indent=2) + "\n")
    _write(path.with_suffix(".md"), render(rows, evaluations))


def merge(rows: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all measured rows, and an empty row for each recipe that is not measured.

    A new row replaces an earlier one with the same pair, recipe, budget and seed.
    """
    measured = {_identity(row): row for row in (*rows, *new) if row["seed"] is not None}
    known = {(row["pair"], row["recipe"]) for row in measured.values()}
    empty = [
        {"pair": pair, "recipe": recipe, "budget": PASSES, **dict.fromkeys(MEASURED)}
        for pair in PUBLISHED
        for recipe in RECIPES
        if (pair, recipe) not in known
    ]
    return sorted([*measured.values(), *empty], key=_order)


def _identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["pair"], row["recipe"], row["budget"], row["seed"]


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    known = RECIPES.index(row["recipe"]) if row["recipe"] in RECIPES else len(RECIPES)
    return row["pair"], known, row["recipe"], row["budget"], row["seed"] or 0


def render(rows: list[dict[str, Any]], evaluations: int) -> str:
    """Return the page as Markdown, with one table for each pair."""
    parts = [HEADING.format(evaluations=evaluations)]
    if any(row["seed"] is None for row in rows):
        parts.append(NOT_MEASURED_NOTE.format(passes=PASSES))
    head = ("recipe", "published", *(name.replace("_", " ") for name in MEASURED))
    for pair in dict.fromkeys(row["pair"] for row in rows):
        cells = [_cells(row) for row in rows if row["pair"] == pair]
        parts.append(f"## {pair}\n\n{result_pages.markdown_table(head, cells)}\n")
    notes = [f"- `{row['command']}`" for row in rows if row.get("command")]
    notes += [
        f"- {row['pair']}, {row['recipe']}, seed {row['seed']}: {event}"
        for row in rows
        for event in row.get("events", ())
    ]
    return "\n".join([*parts, *(["\n".join(notes) + "\n"] if notes else [])])


def _cells(row: dict[str, Any]) -> list[object]:
    published = PUBLISHED.get(row["pair"], {}).get(row["recipe"], "none")
    measured = ["not measured" if row[name] is None else row[name] for name in MEASURED]
    return [row["recipe"], published, *measured]


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
