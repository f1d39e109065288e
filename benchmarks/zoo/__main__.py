"""Measure the zoo: networks of torchvision and timm, run with the project's commands.

python -m benchmarks.zoo --data DATA --state STATE
python -m benchmarks.zoo --list

To continue after an interruption, give the same command again.
"""

import typer

from benchmarks.job_queue import Row
from benchmarks.one_at_a_time import Table
from benchmarks.zoo.models import JOBS
from benchmarks.zoo.page import render


def _line(row: Row) -> str:
    return str(row.get("agreement_percent") or row.get("refused") or row.get("failed"))


TABLE = Table("zoo", JOBS, "benchmarks.zoo.run", render, _line)


if __name__ == "__main__":
    typer.run(TABLE.main())
