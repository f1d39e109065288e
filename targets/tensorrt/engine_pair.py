"""An int8 engine and its float16 twin: built, timed in turns, checked, and one recommended."""

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base.notify import Notify
from targets.bundle.golden import Golden, full_batches
from targets.bundle.verdict import judge, wilson
from targets.catalogue.device_detection import Device
from targets.cpu.session import open_session, predict_golden
from targets.graph.graph_file import read_graph
from targets.tensorrt.build import build
from targets.tensorrt.builders.choose import Builder
from targets.tensorrt.builders.trtexec import Trtexec, read_logits, read_median_ms, write_images
from targets.tensorrt.dla.lowering import FLOAT_GRAPH, QUANTIZED_GRAPH, lower_for_dla
from targets.tensorrt.engine import Engine
from targets.tensorrt.options import (
    BuildFiles,
    Options,
    Precision,
    UnsupportedError,
    graph_role,
    inference_arguments,
    timing_arguments,
)
from targets.tensorrt.recommendation import (
    MIN_GRAPH_AGREEMENT,
    CheckedEngine,
    Recommendation,
    recommend,
)
from targets.tensorrt.throttling import Throttling, combine, over_current_events, throttled_since

TIMING_ROUNDS = 3
"""How often each engine is timed, in turns, so that heat and clocks meet both alike."""

RUN_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class BuildContext:
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
        notify: Where to say what happens.
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
    notify: Notify
    dla_core: int | None = None


def compile_engine_pair(
    bench: BuildContext, batch: int, workspace_mib: int, with_int8: bool
) -> tuple[dict[Precision, CheckedEngine], Recommendation]:
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
    largest = fixed or max(batch, bench.golden.chunk_size)
    if bench.dla_core is not None:
        largest, graphs = batch, bench.folder / "lowered"
        lower_for_dla(bench.graphs, bench.golden, batch, bench.builder.version, graphs)
    for precision in wanted:
        options = Options(precision, "weak", batch, largest, workspace_mib, bench.dla_core)
        engines[precision] = build(
            bench.builder, bench.device, graphs, options, bench.folder, bench.notify
        )
    timed = _timed(bench, engines)
    checked = {p: _checked(bench, engines[p], *timed[p]) for p in wanted}
    return checked, recommend(checked)


def _timed(
    bench: BuildContext, engines: dict[Precision, Engine]
) -> dict[Precision, tuple[float, Throttling]]:
    """The median of an engine's milliseconds, and what held the device back meanwhile."""
    times: dict[Precision, list[float]] = {precision: [] for precision in engines}
    seen: dict[Precision, list[Throttling]] = {precision: [] for precision in engines}
    for precision in engines:
        _time_log(bench, precision).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for _ in range(TIMING_ROUNDS):
            for precision, engine in engines.items():
                places = _places(engine, Path(name))
                arguments = timing_arguments(engine.options, places, engine.shape)
                before = over_current_events()
                bench.trtexec.run(arguments, _time_log(bench, precision), RUN_TIMEOUT_S)
                # Elsewhere Linux tells of the CPU, and nothing of the GPU.
                told = throttled_since(before) if bench.device.jetpack else Throttling(None, None)
                seen[precision].append(told)
                times[precision].append(read_median_ms(places.times))
    timed = {p: (statistics.median(times[p]), combine(seen[p])) for p in engines}
    for precision, (milliseconds, throttling) in timed.items():
        batch = engines[precision].options.batch
        bench.notify(f"{precision}: {milliseconds:.3f} ms a batch of {batch}")
        if throttling.seen:
            bench.notify(
                f"warning: {precision} was held back while it was timed, {throttling}; use a "
                "stronger supply or better cooling, and compile again"
            )
    return timed


def _time_log(bench: BuildContext, precision: Precision) -> Path:
    return bench.folder / f"time.{precision}.log"


MAX_INFERENCE_RUNS = 200
"""How often trtexec is started, at most, to put probes through an engine: seconds each on a small
Jetson. An engine of a fixed batch is judged on fewer, and its interval is the wider."""


def _answers(
    bench: BuildContext, engine: Engine, golden: Golden, folder: Path
) -> NDArray[np.float32]:
    """Logits (N, K) of an engine for probes, the last batch filled up with the first image."""
    images = golden.pixels if _takes_pixels(bench, engine) else golden.images
    size = _size(bench, engine)
    log = bench.folder / f"answer.{engine.options.precision}.log"
    log.unlink(missing_ok=True)
    places = _places(engine, folder)
    parts = []
    for batch in full_batches(images, size):
        write_images(batch, folder / "images.raw")
        arguments = inference_arguments(
            engine.options, places, engine.shape, folder / "images.raw", folder / "out.json", size
        )
        bench.trtexec.run(arguments, log, RUN_TIMEOUT_S)
        parts.append(read_logits(folder / "out.json", size))
    return np.concatenate(parts)[: len(images)]


def _fixed_batch(bench: BuildContext) -> int:
    """Of the exported graphs; 0 when it is open."""
    model = read_graph(bench.graphs / QUANTIZED_GRAPH)
    return int(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)


def _size(bench: BuildContext, engine: Engine) -> int:
    """Probes that go through an engine at a time."""
    return engine.shape[0] or bench.golden.chunk_size


def _checked(
    bench: BuildContext, engine: Engine, milliseconds: float, throttling: Throttling
) -> CheckedEngine:
    golden = (
        bench.golden.subset(engine.shape[0] * MAX_INFERENCE_RUNS)
        if engine.shape[0]
        else bench.golden
    )
    with tempfile.TemporaryDirectory() as name:
        given = _answers(bench, engine, golden, Path(name))
    meant = predict_golden(open_session(_graph(bench, engine), optimised=False), golden)
    same = int((given.argmax(1) == meant.argmax(1)).sum())
    low, high = wilson(same, len(given), bench.confidence)
    verdict = judge(golden, given, bench.threshold, bench.confidence)
    share = same / len(given)
    checked = CheckedEngine(engine, milliseconds, share, low, high, verdict, throttling)
    bench.notify(
        f"{engine.options.precision}: {verdict.outcome}, agreement with the teacher "
        f"{100 * verdict.agreement:.2f} %, with its graph {100 * share:.2f} % ({100 * low:.2f} to "
        f"{100 * high:.2f}, {100 * MIN_GRAPH_AGREEMENT:g} asked), on {len(given)} probes"
    )
    if len(given) < len(bench.golden.pixels) and checked.undecided:
        bench.notify(
            "build with a larger --batch: more probes go through, the interval is narrower"
        )
    return checked


def _graph(bench: BuildContext, engine: Engine) -> Path:
    """What an engine means to compute; an accelerator's graph has lost its Q/DQ."""
    if engine.options.dla_core is not None:
        return bench.graphs / (
            QUANTIZED_GRAPH if engine.options.precision == "int8" else FLOAT_GRAPH
        )
    return bench.graphs / f"student.{graph_role(engine.options, bench.builder.version)}.onnx"


def _takes_pixels(bench: BuildContext, engine: Engine) -> bool:
    session = open_session(_graph(bench, engine), optimised=False)
    return bool(session.get_inputs()[0].type == "tensor(uint8)")


def _places(engine: Engine, folder: Path) -> BuildFiles:
    nowhere = folder / "unused"
    return BuildFiles(nowhere, engine.path, nowhere, nowhere, folder / "times.json")
