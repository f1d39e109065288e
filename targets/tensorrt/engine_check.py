"""Run the probes through an engine; compare its predictions with its graph's and the teacher's."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base.notify import Notify
from targets.bundle.golden import Golden, full_batches
from targets.bundle.verdict import judge, wilson
from targets.cpu.session import open_session, predict_golden
from targets.tensorrt.builders.trtexec import Trtexec, read_logits, write_images
from targets.tensorrt.builders.trtexec_arguments import inference_arguments
from targets.tensorrt.dla.lowering import FLOAT_GRAPH, QUANTIZED_GRAPH
from targets.tensorrt.engine import Engine
from targets.tensorrt.engine_timing import RUN_TIMEOUT_S, run_files
from targets.tensorrt.options import graph_role
from targets.tensorrt.recommendation import MIN_GRAPH_AGREEMENT, CheckedEngine
from targets.tensorrt.throttling import Throttling

MAX_INFERENCE_RUNS = 200
"""Largest number of trtexec starts per engine; each takes seconds on a small Jetson.

An engine with a fixed batch may therefore run fewer probes and have a wider interval.
"""


@dataclass(frozen=True)
class EngineCheck:
    """Checks engines of one bundle.

    Attributes:
        trtexec: Runs the engines.
        version: Version of the TensorRT that built them.
        graphs: The bundle's folder of graphs.
        folder: Where to write answer.PRECISION.log.
        golden: The probes.
        threshold: Agreement with the teacher that the run file requires.
        confidence: Confidence level of the intervals.
        notify: Receives the results.
    """

    trtexec: Trtexec
    version: tuple[int, ...]
    graphs: Path
    folder: Path
    golden: Golden
    threshold: float
    confidence: float
    notify: Notify

    def run(self, engine: Engine, milliseconds: float, throttling: Throttling) -> CheckedEngine:
        """Check an engine.

        Args:
            engine: The engine.
            milliseconds: Its median time per batch.
            throttling: What slowed the device while it was timed.

        Raises:
            BuildError: If the engine cannot run.
        """
        golden = self.golden
        if engine.shape[0]:
            golden = golden.subset(engine.shape[0] * MAX_INFERENCE_RUNS)
        with tempfile.TemporaryDirectory() as name:
            actual = self._logits(engine, golden, Path(name))
        expected = predict_golden(open_session(self._graph(engine), optimized=False), golden)
        same = int((actual.argmax(1) == expected.argmax(1)).sum())
        low, high = wilson(same, len(actual), self.confidence)
        verdict = judge(golden, actual, self.threshold, self.confidence)
        share = same / len(actual)
        checked = CheckedEngine(engine, milliseconds, share, low, high, verdict, throttling)
        self.notify(
            f"{engine.options.precision}: {verdict.outcome}, agreement with the teacher "
            f"{100 * verdict.agreement:.2f} %, with its graph {100 * share:.2f} % "
            f"({100 * low:.2f} to {100 * high:.2f}, required {100 * MIN_GRAPH_AGREEMENT:g}), "
            f"on {len(actual)} probes; {verdict.because}"
        )
        if len(actual) < len(self.golden.pixels) and checked.undecided:
            self.notify("too few probes to decide; compile with a larger --batch to run more")
        return checked

    def _logits(self, engine: Engine, golden: Golden, folder: Path) -> NDArray[np.float32]:
        """Return an engine's logits (N, K) for the probes."""
        images = golden.pixels if self._takes_pixels(engine) else golden.images
        size = engine.shape[0] or self.golden.chunk_size
        log = self.folder / f"answer.{engine.options.precision}.log"
        log.unlink(missing_ok=True)
        files = run_files(engine, folder)
        raw_images, output = folder / "images.raw", folder / "out.json"
        parts = []
        for batch in full_batches(images, size):
            write_images(batch, raw_images)
            arguments = inference_arguments(
                engine.options, files, engine.shape, raw_images, output, size
            )
            self.trtexec.run(arguments, log, RUN_TIMEOUT_S)
            parts.append(read_logits(output, size))
        return np.concatenate(parts)[: len(images)]

    def _graph(self, engine: Engine) -> Path:
        """Return the graph whose predictions an engine must match; a DLA's own has no Q/DQ."""
        if engine.options.dla_core is not None:
            name = QUANTIZED_GRAPH if engine.options.precision == "int8" else FLOAT_GRAPH
            return self.graphs / name
        return self.graphs / f"student.{graph_role(engine.options, self.version)}.onnx"

    def _takes_pixels(self, engine: Engine) -> bool:
        session = open_session(self._graph(engine), optimized=False)
        return bool(session.get_inputs()[0].type == "tensor(uint8)")
