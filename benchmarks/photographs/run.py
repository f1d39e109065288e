"""Quantize EfficientNet-Lite0 for one row of the table and measure it on the photographs."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.one_at_a_time import row_command
from benchmarks.photographs.jobs import JOBS, Job
from benchmarks.photographs.other_tools import CALIBRATION_IMAGES, TOOLS
from benchmarks.photographs.teacher import CLASSES, SPEC, photographs, weights_file
from benchmarks.product_run import SHORT_GATE, product_run
from targets.cpu.session import open_session, predict, time_interleaved

ARCHITECTURE = "benchmarks.photographs.teacher:lite0"

Images = NDArray[np.float32]


def measure(job: Job, data: Path, _teachers: Path, state: Path) -> Row:
    """Quantize the teacher and return the row.

    Args:
        job: The job.
        data: Folder with the photographs.
        state: Folder for run files, bundles and stores.
    """
    folder = state / job.key
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    graphs, notes = (_with_project if job.is_ours else _with_other_tool)(job, folder, state)
    minutes = (time.monotonic() - started) / 60
    pixels, labels = photographs(data)
    images = _normalised(pixels.astype(np.float32) / np.float32(255))
    answers = {
        name: predict(open_session(graph, threads=0), images).argmax(1)
        for name, graph in graphs.items()
    }
    if not job.is_ours:
        # ONNX Runtime's optimizations for x86 can destroy graphs with signed activations.
        plain = predict(open_session(graphs["int8"], optimized=False, threads=0), images)
        notes["unoptimized_percent"] = 100 * float((plain.argmax(1) == np.array(labels)).mean())
    wrong = {name: np.flatnonzero(found != labels).tolist() for name, found in answers.items()}
    return {
        "method": job.method,
        "weight_range": job.weight_range,
        "seed": job.seed,
        "fp32_percent": 100 - 100 * len(wrong["fp32"]) / len(labels),
        "int8_percent": 100 - 100 * len(wrong["int8"]) / len(labels),
        "agreement_percent": 100 * float((answers["fp32"] == answers["int8"]).mean()),
        "photographs": len(labels),
        "fp32_wrong": wrong["fp32"],
        "int8_wrong": wrong["int8"],
        "minutes": round(minutes, 1),
        "milliseconds": _latencies(graphs, images),
        **notes,
        "digest": job.digest(),
        "machine": describe_machine(),
        "command": "python -m benchmarks.photographs",
    }


def run_of(job: Job) -> dict[str, Any]:
    """Return the run file of a job that the project quantizes."""
    return {
        "name": "photographs",
        "teacher": {
            "weights": str(weights_file()),
            "architecture": ARCHITECTURE,
            "classes": CLASSES,
        },
        "input": {"shape": list(SPEC.shape), "mean": list(SPEC.mean), "std": list(SPEC.std)},
        "student": "same",
        "quantize": {"method": job.method, "weight_range": job.weight_range},
        "gate": SHORT_GATE,
        "seed": job.seed,
    }


def _with_project(job: Job, folder: Path, _: Path) -> tuple[dict[str, Path], Row]:
    """Run the pipeline; return the compiled graphs and measurements of the run."""
    ran = product_run(run_of(job), folder)
    return ran.graphs, ran.notes


def _with_other_tool(job: Job, folder: Path, state: Path) -> tuple[dict[str, Path], Row]:
    """Quantize the float graph of the `noise` run with the same seed, with another tool."""
    graph = state / f"noise-full-{job.seed}" / "bundle" / "graphs" / "student.fp32.onnx"
    quantized = folder / "int8.onnx"
    rng = np.random.default_rng(job.seed)
    noise = rng.random((CALIBRATION_IMAGES, *SPEC.shape), np.float32)
    TOOLS[job.method](graph, quantized, _normalised(noise))
    return {"fp32": graph, "int8": quantized}, {"calibration_images": CALIBRATION_IMAGES}


def _normalised(raw: Images) -> Images:
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (SPEC.mean, SPEC.std))
    normalised: Images = (raw - mean) / std
    return normalised


def _latencies(graphs: dict[str, Path], images: Images) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of both graphs for each thread count and batch size."""
    found: dict[str, dict[str, float]] = {}
    for threads in (1, 2):
        for batch in (1, 8):
            times = time_interleaved(graphs, images[:batch], threads=threads)
            found[f"{threads} threads, batch {batch}"] = {
                name: round(value, 3) for name, value in times.items()
            }
    return found


if __name__ == "__main__":
    row_command(JOBS, measure)
