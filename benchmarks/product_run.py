"""Run the project's command line on a run file, and return what a result table needs."""

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.job_queue import Row
from targets.bundle.bundle_files import Manifest

SHORT_GATE = {"generators": 1, "rounds": 2}
"""A verdict that costs little, for tables that compare with real images instead."""


@dataclass(frozen=True)
class ProductRun:
    """A finished run.

    Attributes:
        graphs: The compiled graphs "fp32" and "int8" of the first target.
        manifest: The bundle's manifest.
        notes: Peak memory, instruction set, numbers of layers and the seconds of each step.
    """

    graphs: dict[str, Path]
    manifest: Manifest
    notes: Row


def product_run(run: dict[str, Any], folder: Path) -> ProductRun:
    """Run `datafree-edge run` with a store of its own.

    Args:
        run: The content of the run file.
        folder: For run file, bundle and store.

    Raises:
        RuntimeError: If the command fails; a verdict of any kind is no failure.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run_file, bundle = folder / "run.yaml", folder / "bundle"
    run_file.write_text(yaml.safe_dump(run))
    command = [sys.executable, "-m", "pipeline.cli", "run", str(run_file)]
    command += ["--output", str(bundle), "--store", str(folder / "store")]
    started = time.time()
    ended = subprocess.run(command, check=False)
    if ended.returncode not in (0, 2, 3):
        raise RuntimeError(f"exit code {ended.returncode}")
    manifest = json.loads((bundle / "manifest.json").read_text())
    target = next(iter(manifest["targets"].values()))
    notes = {
        "peak_gib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2),
        "int8_kernels": target["machine"]["int8"],
        "integer_layers": target["int8"]["integer_layers"],
        "layers": len(target["int8"]["layers"]),
        "seconds": seconds_of_steps(folder / "store", started),
    }
    graphs = {name: bundle / target[name]["file"] for name in ("fp32", "int8")}
    return ProductRun(graphs, manifest, notes)


def seconds_of_steps(store: Path, started: float) -> dict[str, int]:
    """Return the duration of each step, from the times at which their records were written.

    Args:
        store: The store of one run.
        started: When the run was started, in seconds since 1970.
    """
    records = sorted(store.glob("steps/*/*.json"), key=lambda path: path.stat().st_mtime)
    ends = [started, *(record.stat().st_mtime for record in records)]
    return {
        record.parent.name: round(after - before)
        for record, before, after in zip(records, ends, ends[1:], strict=False)
    }
