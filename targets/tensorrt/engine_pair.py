"""An int8 engine and its float16 twin: built, timed in turns, checked, and one recommended."""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from targets.bundle.golden import Golden, whole_batches
from targets.bundle.verdict import judge, wilson
from targets.catalogue.device_detection import Device
from targets.cpu.session import answer_golden, open_session
from targets.graph.graph_file import read_graph
from targets.on_device.throttling import Throttling, in_all, over_current_events, throttled_since
from targets.tensorrt.build import build
from targets.tensorrt.builder import Builder
from targets.tensorrt.dla.dla import FLOAT, QUANTIZED, lower
from targets.tensorrt.engine import Engine
from targets.tensorrt.plan import (
    Options,
    Places,
    Precision,
    UnsupportedError,
    answer_arguments,
    graph_role,
    time_arguments,
)
from targets.tensorrt.recommendation import SAME_ANSWER, Advice, Checked, advise
from targets.tensorrt.trtexec import Trtexec, read_answers, read_times, write_images

TURNS = 3
"""How often each engine is timed, in turns, so that heat and clocks meet both alike."""

RUN_SECONDS = 300.0


Say = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """Where engines are built and run.

    Attributes:
        builder: Builds engines.
        trtexec: Times them and puts the probes through them, whoever built them.
        device: This device.
        graphs: The bundle's folder of graphs.
        folder: For engines, sidecars and logs.
        golden: The probes.
        threshold: Agreement with the teacher that the run asked for.
        confidence: Of the intervals.
        say: Where to say what happens.
        dla_core: The accelerator to build for; None for the GPU.
    """

    builder: Builder
    trtexec: Trtexec
    device: Device
    graphs: Path
    folder: Path
    golden: Golden
    threshold: float
    confidence: float
    say: Say
    dla_core: int | None = None


def compile_twins(
    bench: Bench, batch: int, workspace_mib: int, with_int8: bool
) -> tuple[dict[Precision, Checked], Advice]:
    """Build what the device can run, time and check it, and recommend.

    Args:
        bench: Where.
        batch: To tune for and to time.
        workspace_mib: Scratch memory of the builder.
        with_int8: Whether the device has int8; without, the float16 engine stands alone.

    Raises:
        BuildError: When an engine cannot be built or run.
        UnsupportedError: When the graphs are of another batch.
    """
    wanted: tuple[Precision, ...] = ("int8", "fp16") if with_int8 else ("fp16",)
    engines: dict[Precision, Engine] = {}
    fixed = _fixed_batch(bench)
    if fixed and batch not in (1, fixed):
        raise UnsupportedError(f"the graphs take {fixed} images; leave out --batch, or export anew")
    batch, graphs = fixed or batch, bench.graphs
    largest = fixed or max(batch, bench.golden.chunk)
    if bench.dla_core is not None:
        largest, graphs = batch, bench.folder / "lowered"
        lower(bench.graphs, bench.golden, batch, bench.builder.version, graphs)
    for precision in wanted:
        options = Options(precision, "weak", batch, largest, workspace_mib, bench.dla_core)
        engines[precision] = build(
            bench.builder, bench.device, graphs, options, bench.folder, bench.say
        )
    timed = _timed(bench, engines)
    checked = {p: _checked(bench, engines[p], *timed[p]) for p in wanted}
    return checked, advise(checked)


def _timed(
    bench: Bench, engines: dict[Precision, Engine]
) -> dict[Precision, tuple[float, Throttling]]:
    """The median of an engine's milliseconds, and what held the device back meanwhile."""
    times: dict[Precision, list[float]] = {precision: [] for precision in engines}
    seen: dict[Precision, list[Throttling]] = {precision: [] for precision in engines}
    for precision in engines:
        _time_log(bench, precision).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for _ in range(TURNS):
            for precision, engine in engines.items():
                places = _places(engine, Path(name))
                arguments = time_arguments(engine.options, places, engine.shape)
                before = over_current_events()
                bench.trtexec.run(arguments, _time_log(bench, precision), RUN_SECONDS)
                # Elsewhere Linux tells of the CPU, and nothing of the GPU.
                told = throttled_since(before) if bench.device.jetpack else Throttling(None, None)
                seen[precision].append(told)
                times[precision].append(read_times(places.times))
    timed = {p: (statistics.median(times[p]), in_all(seen[p])) for p in engines}
    for precision, (milliseconds, throttling) in timed.items():
        batch = engines[precision].options.batch
        bench.say(f"{precision}: {milliseconds:.3f} ms a batch of {batch}")
        if throttling.seen:
            bench.say(
                f"warning: {precision} was held back while it was timed, {throttling}; use a "
                "stronger supply or better cooling, and compile again"
            )
    return timed


def _time_log(bench: Bench, precision: Precision) -> Path:
    return bench.folder / f"time.{precision}.log"


RUNS = 200
"""How often trtexec is started, at most, to put probes through an engine: seconds each on a small
Jetson. An engine of a fixed batch is judged on fewer, and its interval is the wider."""


def _answers(bench: Bench, engine: Engine, golden: Golden, folder: Path) -> NDArray[np.float32]:
    """Logits (N, K) of an engine for probes, the last batch filled up with the first image."""
    images = golden.pixels if _takes_pixels(bench, engine) else golden.images
    size = _size(bench, engine)
    log = bench.folder / f"answer.{engine.options.precision}.log"
    log.unlink(missing_ok=True)
    places = _places(engine, folder)
    parts = []
    for batch in whole_batches(images, size):
        write_images(batch, folder / "images.raw")
        arguments = answer_arguments(
            engine.options, places, engine.shape, folder / "images.raw", folder / "out.json", size
        )
        bench.trtexec.run(arguments, log, RUN_SECONDS)
        parts.append(read_answers(folder / "out.json", size))
    return np.concatenate(parts)[: len(images)]


def _fixed_batch(bench: Bench) -> int:
    """Of the exported graphs; 0 when it is open."""
    model = read_graph(bench.graphs / QUANTIZED)
    return int(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)


def _size(bench: Bench, engine: Engine) -> int:
    """Probes that go through an engine at a time."""
    return engine.shape[0] or bench.golden.chunk


def _checked(bench: Bench, engine: Engine, milliseconds: float, throttling: Throttling) -> Checked:
    golden = bench.golden.some(engine.shape[0] * RUNS) if engine.shape[0] else bench.golden
    with tempfile.TemporaryDirectory() as name:
        given = _answers(bench, engine, golden, Path(name))
    meant = answer_golden(open_session(_graph(bench, engine), optimised=False), golden)
    same = int((given.argmax(1) == meant.argmax(1)).sum())
    low, high = wilson(same, len(given), bench.confidence)
    verdict = judge(golden, given, bench.threshold, bench.confidence)
    share = same / len(given)
    checked = Checked(engine, milliseconds, share, low, high, verdict, throttling)
    bench.say(
        f"{engine.options.precision}: {verdict.outcome}, agreement with the teacher "
        f"{100 * verdict.agreement:.2f} %, with its graph {100 * share:.2f} % ({100 * low:.2f} to "
        f"{100 * high:.2f}, {100 * SAME_ANSWER:g} asked), on {len(given)} probes"
    )
    if len(given) < len(bench.golden.pixels) and checked.more_probes_may_tell:
        bench.say("build with a larger --batch: more probes go through, the interval is narrower")
    return checked


def _graph(bench: Bench, engine: Engine) -> Path:
    """What an engine means to compute; an accelerator's graph has lost its Q/DQ."""
    if engine.options.dla_core is not None:
        return bench.graphs / (QUANTIZED if engine.options.precision == "int8" else FLOAT)
    return bench.graphs / f"student.{graph_role(engine.options, bench.builder.version)}.onnx"


def _takes_pixels(bench: Bench, engine: Engine) -> bool:
    session = open_session(_graph(bench, engine), optimised=False)
    return bool(session.get_inputs()[0].type == "tensor(uint8)")


def _places(engine: Engine, folder: Path) -> Places:
    nowhere = folder / "unused"
    return Places(nowhere, engine.path, nowhere, nowhere, folder / "times.json")
