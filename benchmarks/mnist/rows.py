"""Rows of mnist.json, found and put into the cells of a table."""

from statistics import mean, pstdev

from benchmarks.job_queue import Row
from benchmarks.mnist.jobs import setting_of


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def find(rows: list[Row], recipe: str, teacher: str, setting: str, variant: str = "") -> list[Row]:
    """The rows of one cell, one a seed."""
    return [
        row
        for row in rows
        if (row["recipe"], row["teacher"], row["setting"], row["variant"])
        == (recipe, teacher, setting, variant)
    ]


def shown(
    rows: list[Row], recipe: str, teacher: str, chosen: dict[str, str]
) -> tuple[str, list[Row]]:
    """A recipe's rows at its better setting; where there are none, at the common one."""
    setting = setting_of(recipe, chosen)
    at_best = find(rows, recipe, teacher, setting)
    if at_best or recipe == "house":
        return setting, at_best
    return "common", find(rows, recipe, teacher, "common")


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{mean(values):.2f}" + (f" ± {pstdev(values):.2f}" if len(values) > 1 else "")
