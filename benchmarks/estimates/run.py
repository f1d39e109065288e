"""Compare estimate and run for one row of the table."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from benchmarks.estimates.jobs import JOBS, Job
from benchmarks.estimates.process_memory import Finished, run_measured
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.one_at_a_time import row_command
from dfkd.images import ImageSpec
from pipeline.teachers.networks import build_network

NORM_BATCHES, NORM_BATCH = 4, 16
"""Images of noise from which the batch norms of an untrained network take their statistics."""


def measure(job: Job, _data: Path, _teachers: Path, state: Path) -> Row:
    """Check and run a network, and return the row.

    Args:
        job: The job.
        state: Folder for weights, run files, stores and bundles.
    """
    folder = state / job.key
    folder.mkdir(parents=True, exist_ok=True)
    _save_weights(job, folder / "teacher.safetensors")
    run_file = folder / "run.yaml"
    run_file.write_text(yaml.safe_dump(run_of(job, folder)))
    output = ("--output", str(folder / "bundle"))
    started = time.monotonic()
    checked = _command("check", str(run_file), *output, "--json")
    check_seconds = time.monotonic() - started
    if checked.code:
        raise RuntimeError(checked.errors.splitlines()[-1])
    report = json.loads(checked.output)
    started = time.monotonic()
    ran = _command("run", str(run_file), *output, "--store", str(folder / "store"))
    seconds = time.monotonic() - started
    if ran.code not in (0, 2, 3):
        raise RuntimeError(ran.errors.splitlines()[-1])
    return {
        "network": job.name,
        "method": job.method,
        "check_seconds": round(check_seconds),
        "estimated_seconds": round(report["seconds"]),
        "seconds": round(seconds),
        "estimated_gib": round(report["memory_bytes"] / 2**30, 2),
        "peak_gib": round(ran.peak_bytes / 2**30, 2),
        "digest": job.digest(),
        "machine": describe_machine(),
        "command": "python -m benchmarks.estimates",
    }


def run_of(job: Job, folder: Path) -> dict[str, Any]:
    """Return the run file of a job; the weights are in `folder`."""
    return {
        "name": "estimates",
        "teacher": {
            "weights": str(folder / "teacher.safetensors"),
            "architecture": job.architecture,
            "classes": job.classes,
            "factory_arguments": job.arguments,
        },
        "input": {
            "shape": list(job.shape),
            "mean": [0.5] * job.shape[0],
            "std": [0.25] * job.shape[0],
        },
        "student": job.student,
        "quantize": {"method": job.method},
    }


def _save_weights(job: Job, file: Path) -> None:
    """Save an untrained network whose batch norms have statistics of noise."""
    torch.manual_seed(0)
    spec = ImageSpec(job.shape, (0.5,) * job.shape[0], (0.25,) * job.shape[0])
    network = build_network(job.architecture, 1.0, spec, job.classes, arguments=job.arguments)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # The mean over all batches.
    network.train()
    with torch.no_grad():
        for _ in range(NORM_BATCHES):
            network(spec.normalise(torch.rand(NORM_BATCH, *job.shape)))
    save_file({k: v.contiguous().clone() for k, v in network.state_dict().items()}, file)


def _command(*arguments: str) -> Finished:
    return run_measured([sys.executable, "-m", "pipeline.cli", *arguments])


if __name__ == "__main__":
    row_command(JOBS, measure)
