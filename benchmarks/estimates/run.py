"""Compare estimate and run for one row of the table."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.estimates.jobs import JOBS, Job
from benchmarks.estimates.process_memory import Finished, run_measured
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.one_at_a_time import row_command
from benchmarks.product_run import seconds_of_steps
from dfkd.images import ImageSpec
from pipeline.teachers.networks import build_network

NORM_BATCHES, NORM_BATCH = 4, 16
"""Images of noise from which the batch norms of an untrained network take their statistics."""

LOGIT_SPREAD = 3.0
"""Standard deviation of the logits of noise. An untrained network would give all images one class,
and the verdict's generators would collapse."""


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
    started = time.time()
    ran = _command("run", str(run_file), *output, "--store", str(folder / "store"))
    seconds = time.time() - started
    if ran.code not in (0, 2, 3):
        raise RuntimeError(ran.errors.splitlines()[-1])
    return {
        "network": job.name,
        "method": job.method,
        "check_seconds": round(check_seconds),
        "estimated_seconds": round(report["seconds"]),
        "seconds": round(seconds),
        "estimated_steps": {s["name"]: round(s["seconds"]) for s in report["stages"]},
        "steps": seconds_of_steps(folder / "store", started),
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
    """Save an untrained network with the batch-norm statistics and the usual logits of noise."""
    torch.manual_seed(0)
    spec = ImageSpec(job.shape, (0.5,) * job.shape[0], (0.25,) * job.shape[0])
    network = build_network(job.architecture, 1.0, spec, job.classes, arguments=job.arguments)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # The mean over all batches.
    network.train()
    with torch.no_grad():
        for _ in range(NORM_BATCHES):
            images = spec.normalise(torch.rand(NORM_BATCH, *job.shape))
            network(images)
        _spread_logits(network.eval(), images)
    save_file({k: v.contiguous().clone() for k, v in network.state_dict().items()}, file)


def _spread_logits(network: nn.Module, images: Tensor) -> None:
    """Give every logit a mean of 0 and all logits a standard deviation of `LOGIT_SPREAD`."""
    head = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    outputs: list[Tensor] = []
    hook = head.register_forward_hook(lambda _, __, output: outputs.append(output))
    network(images)
    hook.remove()
    logits = outputs[0].transpose(0, 1).flatten(1)
    mean = logits.mean(1)
    factor = LOGIT_SPREAD / (logits.T - mean).std()
    assert head.bias is not None
    head.bias.copy_((head.bias - mean) * factor)
    head.weight.mul_(factor)


def _command(*arguments: str) -> Finished:
    return run_measured([sys.executable, "-m", "pipeline.cli", *arguments])


if __name__ == "__main__":
    row_command(JOBS, measure)
