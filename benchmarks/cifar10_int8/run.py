"""Quantize a network for one row of the table, and measure it on the CIFAR-10 test images."""

from pathlib import Path
from typing import Any

import yaml

from benchmarks.cifar10_int8.jobs import JOBS, OWN, Job
from benchmarks.cifar10_training import CLASSES, trained_weights
from benchmarks.data import load_data_set
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.one_at_a_time import row_command
from benchmarks.paired_scores import paired_scores
from benchmarks.product_run import product_run
from dfkd.images import ImageSpec

FOLDER = Path(__file__).parents[1]

RAW = ImageSpec((3, 32, 32), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 255.0))
"""CIFAR-10 without normalisation: pixels from 0 to 255."""

EPOCHS = 15
"""Passes over the training images in the training of the benchmark's own networks."""


def measure(job: Job, data: Path, teachers: Path, state: Path) -> Row:
    """Quantize the network and return the row.

    Args:
        job: The job.
        data: Folder with the real data sets.
        teachers: Folder with the networks trained by others.
        state: Folder for run files, bundles and stores.
    """
    run = run_of(job, teachers, data)
    ran = product_run(run, state / job.key)
    section = run["input"]
    spec = ImageSpec(
        section["shape"], section["mean"], section["std"], section.get("value_range", (0.0, 1.0))
    )
    images, labels = load_data_set("cifar10", data, train=False, spec=spec)
    return {
        "network": job.network,
        "method": job.method,
        "seed": job.seed,
        **paired_scores(ran.graphs, images, labels),
        **ran.notes,
        "digest": job.digest(),
        "machine": describe_machine(),
        "command": "python -m benchmarks.cifar10_int8",
    }


def run_of(job: Job, teachers: Path, data: Path) -> dict[str, Any]:
    """Return the run file of a job. A network of the benchmark is trained if it has no weights.

    Args:
        job: The job.
        teachers: Folder with the networks trained by others.
        data: Folder with the real data sets.
    """
    if job.network not in OWN:
        run = yaml.safe_load((FOLDER / "runs" / f"{job.network}.yaml").read_text())
        run["teacher"]["weights"] = str(teachers.absolute() / run["teacher"]["weights"])
        return {**run, **job.settings}
    folder = FOLDER / "teachers" / job.network
    weights = trained_weights(OWN[job.network], folder, data, RAW, EPOCHS)
    return {
        "name": job.network.replace("_", "-"),
        "teacher": {
            "weights": str(weights),
            "architecture": f"benchmarks.cifar10_int8.networks:{job.network}",
            "classes": CLASSES,
        },
        "input": {
            "shape": list(RAW.shape),
            "mean": list(RAW.mean),
            "std": list(RAW.std),
            "value_range": list(RAW.value_range),
        },
        **job.settings,
    }


if __name__ == "__main__":
    row_command(JOBS, measure)
