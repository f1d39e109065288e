"""Measure one network of the zoo: train it, check it, run it, and compare int8 with float."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.torch import save_file

from base.durable_files import write_durably
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.one_at_a_time import row_command
from benchmarks.product_run import SHORT_GATE
from benchmarks.zoo.models import JOBS, Job
from benchmarks.zoo.structured_images import structured_images
from benchmarks.zoo.training import CIFAR10, MEAN, STD, train
from dfkd.images import ImageSpec
from pipeline.teachers.networks import build_network
from targets.cpu.session import open_session, predict
from targets.lint.linter import errors, lint

CLASSES = 10


def measure(job: Job, data: Path, _teachers: Path, state: Path) -> Row:
    """Measure a network and return its row.

    Args:
        job: The network.
        data: Folder with the real data sets.
        state: Folder for weights, run files, stores and bundles. Existing weights are reused.
    """
    folder = state / job.key
    folder.mkdir(parents=True, exist_ok=True)
    trained = _weights(job, data, folder)
    run_file = folder / "run.yaml"
    run_file.write_text(yaml.safe_dump(run_of(job, folder)))
    row: Row = {
        "key": job.key,
        "architecture": job.architecture,
        "size": job.size,
        **trained,
        "digest": job.digest(),
        "machine": describe_machine(),
        "command": "python -m benchmarks.zoo",
    }
    checked = _command("check", str(run_file), "--output", str(folder / "bundle"), "--json")
    if checked.returncode:
        return {**row, "refused": checked.stderr.strip().splitlines()[-1]}
    report = json.loads(checked.stdout)
    started = time.monotonic()
    ran = _command(
        *("run", str(run_file), "--output", str(folder / "bundle")),
        *("--store", str(folder / "store")),
    )
    if ran.returncode not in (0, 2, 3):
        return {**row, "failed": ran.stderr.strip().splitlines()[-1]}
    return {
        **row,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "estimated_minutes": round(report["seconds"] / 60, 1),
        "quantized_percent": round(100 * report["network"]["quantized_share"], 2),
        **_compare(job, folder / "bundle"),
    }


def run_of(job: Job, folder: Path) -> dict[str, Any]:
    """Return the run file of a network, with short training and calibration with noise."""
    section = {
        "architecture": job.architecture,
        "factory_arguments": job.arguments,
        "output": job.output,
    }
    return {
        "name": "zoo",
        "teacher": {
            "weights": str(folder / "teacher.safetensors"),
            "classes": CLASSES,
            **{name: value for name, value in section.items() if value},
        },
        "input": {"shape": [3, job.size, job.size], "mean": list(MEAN), "std": list(STD)},
        "student": "same",
        "quantize": {"method": "noise"},
        "gate": SHORT_GATE,
    }


def _weights(job: Job, data: Path, folder: Path) -> Row:
    """Train a network, save its weights and return its scores; reuse weights of an earlier call."""
    record = folder / "trained.json"
    if record.exists():
        known: Row = json.loads(record.read_text())
        if known["digest"] == job.digest():
            return {name: value for name, value in known.items() if name != "digest"}
    spec = ImageSpec((3, job.size, job.size), CIFAR10.mean, CIFAR10.std)
    network = build_network(
        job.architecture, 1.0, spec, CLASSES, arguments=job.arguments, output=job.output
    )
    trained = train(network, job.size, data)
    state = {name: value.contiguous().clone() for name, value in network.state_dict().items()}
    save_file(state, folder / "teacher.safetensors")
    write_durably(record, json.dumps({**trained, "digest": job.digest()}))
    return trained


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the product's command line."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )


def _compare(job: Job, bundle: Path) -> Row:
    """Return lint errors, kernels, latencies and agreement of a bundle's graphs."""
    report = json.loads((bundle / "manifest.json").read_text())["targets"]["local-cpu"]
    spec = ImageSpec((3, job.size, job.size), CIFAR10.mean, CIFAR10.std)
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (spec.mean, spec.std))
    images = (structured_images(job.size) - mean) / std
    logits = {
        precision: predict(
            open_session(bundle / f"targets/local-cpu/model.{precision}.onnx", threads=0), images
        )
        for precision in ("fp32", "int8")
    }
    same = logits["fp32"].argmax(1) == logits["int8"].argmax(1)
    noise = np.square(logits["fp32"] - logits["int8"]).sum()
    return {
        "lint_errors": len(errors(lint(bundle / "graphs/student.int8.onnx"))),
        "integer_layers": report["int8"]["integer_layers"],
        "layers": len(report["int8"]["layers"]),
        "fp32_ms": report["fp32"]["milliseconds"],
        "int8_ms": report["int8"]["milliseconds"],
        "agreement_percent": round(100 * float(same.mean()), 2),
        "sqnr_db": round(float(10 * np.log10(np.square(logits["fp32"]).sum() / noise)), 1),
    }


if __name__ == "__main__":
    row_command(JOBS, measure)
