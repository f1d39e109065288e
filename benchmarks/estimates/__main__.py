"""Compare the estimates of `datafree-edge check` with runs of ten networks.

python -m benchmarks.estimates --state STATE
python -m benchmarks.estimates --list

To continue after an interruption, run the same command again. Nothing else should run on the
machine.
"""

import typer

from benchmarks.estimates.jobs import JOBS
from benchmarks.estimates.page import render
from benchmarks.job_queue import Row
from benchmarks.one_at_a_time import Table


def _line(row: Row) -> str:
    return f"{row['seconds']} s, estimated {row['estimated_seconds']} s"


TABLE = Table("estimates", JOBS, "benchmarks.estimates.run", render, _line)


if __name__ == "__main__":
    typer.run(TABLE.main())
