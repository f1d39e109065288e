"""The tables of benchmarks.cifar10: published peaks, rows that were measured, rows still to be."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.cifar10.slices import write_whole

RESULTS = Path(__file__).parents[1] / "results"
PASSES = 20_000_000
"""Teacher passes of a run in these tables."""

RECIPES = ("house", "dafl-cifar10", "dfad-cifar10", "dfq-akd", "cmi", "fast-datafree", "pre-dfkd")
"""In every table, measured or not; a recipe beyond these is added once it is measured."""

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
"""Peak accuracies of the students by pair and recipe; for teachers of 95.4 to 95.7 (ResNet-34) and
94.87 (WRN-40-2)."""

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
"""The columns that a run fills."""

HEAD = """\
# Data-free distillation on CIFAR-10

Accuracies in percent, on the 10,000 test images, evaluated {evaluations} times over a run (or after
each round, where there are fewer), evenly in teacher passes; no evaluation influences a run.
`final` is what the run delivers, `mu` and `deviation` the mean and the standard deviation of all
evaluations, `last10` the mean of the last ten, `peak` the best of all, which nobody can pick
without test data. `passes` are teacher passes: a forward of an image counts 1, a forward with
backward 3; `stretch` is the run's length over the published one. `minutes` are of distillation
alone.

`published` is the peak that the method's authors report, or that others report for it, with
teachers of 95.4 to 95.7 (ResNet-34) and 94.87 (WRN-40-2); for fast-datafree it is the variant of
ten steps a batch, where the recipe takes five. Published runs differ in teacher, length and images
seen, so that column is for orientation.
"""

WAITING = """\
Rows that say `not measured` have never been run: no data-centre GPU was at hand. The command for
them is ready. It exits with 75 when a slice of the run is over and the same command is to be given
again, with 0 when the run is finished:

    python -m benchmarks.cifar10 DATA --pair PAIR --recipe RECIPE --passes {passes} \\
        --slice 540 --state STATE --seed 0
    python -m benchmarks.cifar10 --collect STATE
"""


def collect(folders: Iterable[Path], evaluations: int) -> None:
    """Put the rows of finished runs into results/cifar10.json and write cifar10.md anew.

    Args:
        folders: State folders of finished runs; none writes the tables as they stand.
        evaluations: Of a run, for the text.

    Raises:
        FileNotFoundError: When a folder holds no row.json, as its run is not finished.
    """
    table = RESULTS / "cifar10.json"
    rows = json.loads(table.read_text()) if table.exists() else []
    rows = merged(rows, [json.loads((folder / "row.json").read_text()) for folder in folders])
    _write(table, json.dumps(rows, indent=2) + "\n")
    _write(RESULTS / "cifar10.md", rendered(rows, evaluations))


def merged(rows: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Measured rows, each new one over an earlier one of the same run, and rows still to measure.

    Runs are the same when pair, recipe, budget and seed are.
    """
    measured = {_run(row): row for row in (*rows, *new) if row["seed"] is not None}
    known = {(row["pair"], row["recipe"]) for row in measured.values()}
    waiting = [
        {"pair": pair, "recipe": recipe, "budget": PASSES, **dict.fromkeys(MEASURED)}
        for pair in PUBLISHED
        for recipe in RECIPES
        if (pair, recipe) not in known
    ]
    return sorted([*measured.values(), *waiting], key=_order)


def _run(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["pair"], row["recipe"], row["budget"], row["seed"]


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    known = RECIPES.index(row["recipe"]) if row["recipe"] in RECIPES else len(RECIPES)
    return row["pair"], known, row["recipe"], row["budget"], row["seed"] or 0


def rendered(rows: list[dict[str, Any]], evaluations: int) -> str:
    """The tables as Markdown, one a pair."""
    parts = [HEAD.format(evaluations=evaluations)]
    if any(row["seed"] is None for row in rows):
        parts.append(WAITING.format(passes=PASSES))
    columns = ("recipe", "published", *(name.replace("_", " ") for name in MEASURED))
    for pair in dict.fromkeys(row["pair"] for row in rows):
        lines = [f"## {pair}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        lines += [_line(row) for row in rows if row["pair"] == pair]
        parts.append("\n".join(lines) + "\n")
    notes = [f"- `{row['command']}`" for row in rows if row.get("command")]
    notes += [
        f"- {row['pair']}, {row['recipe']}, seed {row['seed']}: {event}"
        for row in rows
        for event in row.get("events", ())
    ]
    return "\n".join([*parts, *(["\n".join(notes) + "\n"] if notes else [])])


def _line(row: dict[str, Any]) -> str:
    published = PUBLISHED.get(row["pair"], {}).get(row["recipe"], "none")
    cells = ["not measured" if row[name] is None else str(row[name]) for name in MEASURED]
    return f"| {row['recipe']} | {published} | {' | '.join(cells)} |"


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda file: file.write(text.encode()))
