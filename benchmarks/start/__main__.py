"""Train students from the teacher's weights and from random ones; score them on MNIST.

python -m benchmarks.start --data DATA --state STATE
python -m benchmarks.start --list

To continue after an interruption, run the same command again.
"""

import typer

from benchmarks.job_queue import Row
from benchmarks.one_at_a_time import Table
from benchmarks.start.jobs import JOBS
from benchmarks.start.page import render


def _line(row: Row) -> str:
    return f"{row['fp32']:.2f} %, {row['untrained']:.2f} % before training"


TABLE = Table("start", JOBS, "benchmarks.start.run", render, _line)


if __name__ == "__main__":
    typer.run(TABLE.main())
