"""Select rows of mnist.json and format their figures for a table cell."""

from statistics import mean, pstdev

from benchmarks.job_queue import Row
from benchmarks.mnist.jobs import setting_of

NOT_MEASURED = "not measured"

ACCURACIES = ("final", "mu", "deviation", "peak", "last10")
"""Keys of a row whose values are percentages of the test images."""


def find(rows: list[Row], recipe: str, teacher: str, setting: str, variant: str = "") -> list[Row]:
    """Return the rows of one cell, one for each seed."""
    return [
        row
        for row in rows
        if (row["recipe"], row["teacher"], row["setting"], row["variant"])
        == (recipe, teacher, setting, variant)
    ]


def find_shown(
    rows: list[Row], recipe: str, teacher: str, chosen: dict[str, str]
) -> tuple[str, list[Row]]:
    """Return (setting, rows) at a recipe's better setting or, if not measured, the common one."""
    setting = setting_of(recipe, chosen)
    at_best = find(rows, recipe, teacher, setting)
    if at_best or recipe == "house":
        return setting, at_best
    return "common", find(rows, recipe, teacher, "common")


def mean_and_deviation(values: list[float]) -> str:
    """Return "mean ± standard deviation", or the value if there is only one."""
    return f"{mean(values):.2f}" + (f" ± {pstdev(values):.2f}" if len(values) > 1 else "")
