"""Measure EfficientNet-Lite0 on photographs, quantized by the project and by other tools.

python -m benchmarks.photographs --data DATA --state STATE
python -m benchmarks.photographs --list

To continue after an interruption, run the same command again.
"""

import typer

from benchmarks.job_queue import Row
from benchmarks.one_at_a_time import Table
from benchmarks.photographs.jobs import JOBS
from benchmarks.photographs.page import render


def _line(row: Row) -> str:
    return f"{row['int8_percent']:.1f} %, float {row['fp32_percent']:.1f} %"


TABLE = Table("photographs", JOBS, "benchmarks.photographs.run", render, _line)


if __name__ == "__main__":
    typer.run(TABLE.main())
