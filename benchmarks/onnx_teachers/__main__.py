"""Run the pipeline on teachers that are ONNX files; score the results on real test images.

python -m benchmarks.onnx_teachers --data DATA --teachers TEACHERS --state STATE
python -m benchmarks.onnx_teachers --list

To continue after an interruption, run the same command again.
"""

import typer

from benchmarks.job_queue import Row
from benchmarks.one_at_a_time import Table
from benchmarks.onnx_teachers.jobs import JOBS
from benchmarks.onnx_teachers.page import render


def _line(row: Row) -> str:
    return f"{row['int8']:.2f} %, float {row['fp32']:.2f} %, teacher {row['teacher_percent']:.2f} %"


TABLE = Table("onnx_teachers", JOBS, "benchmarks.onnx_teachers.run", render, _line)


if __name__ == "__main__":
    typer.run(TABLE.main())
