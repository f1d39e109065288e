"""Measured rows of `benchmarks/results/mnist.json`."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

RESULTS = Path(__file__).resolve().parents[3] / "benchmarks" / "results"
NOT_MEASURED = "not measured"

Row = dict[str, Any]


def measured_rows(recipe: str) -> list[Row]:
    """Return the rows of a recipe as it is, without variants of it."""
    rows: list[Row] = json.loads((RESULTS / "mnist.json").read_text())
    return [row for row in rows if row["recipe"] == recipe and not row["variant"]]


def by_cell(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Group rows by teacher and setting: one group holds one row a seed."""
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["teacher"], row["setting"]), []).append(row)
    return cells


def spread(values: list[float]) -> str:
    """Return the mean and, for several values, the standard deviation."""
    return f"{mean(values):.2f}" + (f" ± {pstdev(values):.2f}" if len(values) > 1 else "")


def final_accuracy(recipe: str, teacher: str) -> str:
    """Return a recipe's accuracy on the real MNIST test images, as in the table of mnist.md.

    The setting is the better one of "common" and "paper" on held-out training images with the
    teacher `lenet5-bn`. A recipe that is measured at one setting only has that one.
    """
    cells = by_cell(measured_rows(recipe))
    settings = ["own", better_setting(cells), "common"]
    for setting in settings:
        if found := cells.get((teacher, setting)):
            return spread([row["final"] for row in found])
    return NOT_MEASURED


def better_setting(cells: dict[tuple[str, str], list[Row]]) -> str:
    """Return the setting with the higher accuracy on held-out training images."""
    groups = {s: cells.get(("lenet5-bn", s), []) for s in ("common", "paper")}
    if not groups["common"] or not groups["paper"]:
        return "paper" if groups["paper"] else "common"
    seeds = set.intersection(*({row["seed"] for row in group} for group in groups.values()))
    held_out = {
        setting: mean(row["held_out"] for row in group if row["seed"] in seeds)
        for setting, group in groups.items()
    }
    return max(held_out, key=lambda setting: held_out[setting])
