"""Quantize networks without data at default settings; score them on the CIFAR-10 test images.

python -m benchmarks.cifar10_int8 --data DATA --teachers TEACHERS --state STATE
python -m benchmarks.cifar10_int8 --list

To continue after an interruption, run the same command again.
"""

import typer

from benchmarks.cifar10_int8.jobs import JOBS
from benchmarks.cifar10_int8.page import render
from benchmarks.job_queue import Row
from benchmarks.one_at_a_time import Table


def _line(row: Row) -> str:
    return f"{row['int8']:.2f} %, float {row['fp32']:.2f} %"


TABLE = Table("cifar10_int8", JOBS, "benchmarks.cifar10_int8.run", render, _line)


if __name__ == "__main__":
    typer.run(TABLE.main())
