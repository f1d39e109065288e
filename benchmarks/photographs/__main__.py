"""Measure EfficientNet-Lite0 on photographs, quantized by the project and by other tools.

python -m benchmarks.photographs --data DATA --state STATE
python -m benchmarks.photographs --list

To continue after an interruption, run the same command again.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.job_queue import Row, print_missing
from benchmarks.one_at_a_time import Table
from benchmarks.photographs.jobs import JOBS
from benchmarks.photographs.page import render


def _line(row: Row) -> str:
    return f"{row['int8_percent']:.1f} %, float {row['fp32_percent']:.1f} %"


TABLE = Table("photographs", JOBS, "benchmarks.photographs.run", render, _line)


def main(
    data: Annotated[Path, typer.Option(help="Folder with the real data sets.")] = Path("data"),
    state: Annotated[Path, typer.Option(help="Folder for unfinished runs.")] = Path("state"),
    minutes: Annotated[float, typer.Option(help="Start no row after this many minutes.")] = 1e9,
    only: Annotated[list[str], typer.Option(help="Measure this row only; repeatable.")] = [],  # noqa: B006
    list_only: Annotated[bool, typer.Option("--list", help="List the remaining rows.")] = False,
) -> None:
    """Measure the remaining rows, one at a time, so that they do not slow each other down."""
    if list_only:
        print_missing(TABLE.missing(), len(JOBS))
    elif TABLE.measure(data, state, minutes, only):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
