"""Time engines with trtexec, alternating between them, and watch for throttling."""

import statistics
import tempfile
from pathlib import Path

from base.notify import Notify
from targets.catalogue.device_detection import Device
from targets.tensorrt.builders.trtexec import Trtexec, read_median_ms
from targets.tensorrt.builders.trtexec_arguments import timing_arguments
from targets.tensorrt.engine import Engine
from targets.tensorrt.options import BuildFiles, Precision
from targets.tensorrt.throttling import (
    Throttling,
    combine,
    over_current_events,
    throttled_since,
)

TIMING_ROUNDS = 3
"""Number of timed runs of each engine. The engines take turns, so that heat and clock changes
affect all of them."""

RUN_TIMEOUT_S = 300.0
"""Time limit of one run of trtexec on a finished engine."""


def time_engines(
    trtexec: Trtexec,
    device: Device,
    engines: dict[Precision, Engine],
    folder: Path,
    notify: Notify,
) -> dict[Precision, tuple[float, Throttling]]:
    """Return each engine's median milliseconds per batch, and the throttling during its runs.

    Args:
        trtexec: Runs the engines.
        device: This device; throttling is known only for a Jetson.
        engines: The engines by precision.
        folder: Where to write time.PRECISION.log.
        notify: Receives the times, and a warning about throttling.
    """
    times: dict[Precision, list[float]] = {precision: [] for precision in engines}
    throttling: dict[Precision, list[Throttling]] = {precision: [] for precision in engines}
    for precision in engines:
        _log(folder, precision).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for _ in range(TIMING_ROUNDS):
            for precision, engine in engines.items():
                files = run_files(engine, Path(name))
                arguments = timing_arguments(engine.options, files, engine.shape)
                before = over_current_events()
                trtexec.run(arguments, _log(folder, precision), RUN_TIMEOUT_S)
                # On other machines Linux reports the CPU's cooling but not the GPU's.
                observed = throttled_since(before) if device.jetpack else Throttling(None, None)
                throttling[precision].append(observed)
                times[precision].append(read_median_ms(files.times))
    timed = {p: (statistics.median(times[p]), combine(throttling[p])) for p in engines}
    for precision, (milliseconds, slowed) in timed.items():
        batch = engines[precision].options.batch
        notify(f"{precision}: {milliseconds:.3f} ms per batch of {batch}")
        if slowed.occurred:
            notify(
                f"warning: the device was throttled while timing {precision}: {slowed}; use a "
                "stronger power supply or better cooling, and compile again"
            )
    return timed


def run_files(engine: Engine, folder: Path) -> BuildFiles:
    """Return the files for running a finished engine, with its timings in `folder`."""
    unused = folder / "unused"
    return BuildFiles(unused, engine.path, unused, unused, folder / "times.json")


def _log(folder: Path, precision: Precision) -> Path:
    return folder / f"time.{precision}.log"
