"""Time a bundle's models on this machine."""

import os
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from base.one_line import one_line
from pipeline.roles import PRECISIONS
from pipeline.user_images.bundle_models import BundleModels
from pipeline.user_images.preparing import normalize
from targets.catalogue.instruction_sets import this_cpu
from targets.cpu.session import Images, time_interleaved

BATCHES = (1, 8)

ROUNDS = 5
"""Rounds of each measurement: their medians show the spread."""

ROUND_S = 0.5
"""Time for a round of one model. It decides how many runs are timed."""

MIN_REPEATS, MAX_REPEATS = 3, 200


@dataclass(frozen=True)
class Timing:
    """The times of both models for one batch size and number of threads.

    Attributes:
        batch: Images in one run.
        threads: Threads of a run.
        repeats: Timed runs of each model in a round.
        milliseconds: Median of the rounds' medians, by precision.
        spread: The smallest and the largest of the rounds' medians, by precision.
        ratio: The time of fp32 over that of int8; above 1, int8 is faster.
    """

    batch: int
    threads: int
    repeats: int
    milliseconds: dict[str, float]
    spread: dict[str, tuple[float, float]]
    ratio: float


def time_bundle(bundle: BundleModels) -> list[Timing]:
    """Time both models for each batch size, with one thread and with all cores.

    A graph with a fixed batch size is timed with that one.

    Raises:
        InputError: If a model cannot be run.
    """
    fixed = bundle.open(PRECISIONS[0]).get_inputs()[0]
    batches = (fixed.shape[0],) if isinstance(fixed.shape[0], int) else BATCHES
    timings = []
    for threads in sorted({1, os.cpu_count() or 1}):
        for batch in batches:
            rng = np.random.default_rng(0)
            pixels = rng.integers(0, 256, (batch, *bundle.input.shape), np.uint8)
            for precision in bundle.files:
                bundle.runner(precision)(pixels)
            is_uint8 = fixed.type == "tensor(uint8)"
            images: Images = pixels if is_uint8 else normalize(pixels, bundle.input)
            timings.append(_time(bundle, images, threads))
    return timings


def _time(bundle: BundleModels, images: Images, threads: int) -> Timing:
    started = time.perf_counter()
    time_interleaved(bundle.files, images, 1, threads)
    one_run_s = (time.perf_counter() - started) / len(bundle.files)
    repeats = max(MIN_REPEATS, min(MAX_REPEATS, int(ROUND_S / one_run_s)))
    rounds = [time_interleaved(bundle.files, images, repeats, threads) for _ in range(ROUNDS)]
    times = {name: sorted(each[name] for each in rounds) for name in bundle.files}
    middle = {name: statistics.median(values) for name, values in times.items()}
    return Timing(
        batch=len(images),
        threads=threads,
        repeats=repeats,
        milliseconds=middle,
        spread={name: (values[0], values[-1]) for name, values in times.items()},
        ratio=middle["fp32"] / middle["int8"],
    )


def timings_as_json(name: str, timings: list[Timing]) -> dict[str, Any]:
    """Return the times of a bundle and this machine's CPU as values for a JSON file."""
    return {
        "name": name,
        "cpu": this_cpu().model,
        "int8_instructions": this_cpu().int8,
        "timings": [asdict(timing) for timing in timings],
    }


def timing_table(name: str, timings: list[Timing]) -> Table:
    """Return the times of a bundle as a table for the terminal."""
    cpu = this_cpu()
    table = Table(
        *("batch", "threads", "fp32 ms", "int8 ms", "fp32 / int8"),
        title=f"{escape(one_line(name))} on {cpu.model}, int8 instructions: {cpu.int8}",
        title_justify="left",
    )
    for timing in timings:
        cells = [
            f"{timing.milliseconds[p]:.3f} [{timing.spread[p][0]:.3f}, {timing.spread[p][1]:.3f}]"
            for p in ("fp32", "int8")
        ]
        table.add_row(str(timing.batch), str(timing.threads), *cells, f"{timing.ratio:.2f}")
    return table
