"""Build an int8 and a float16 engine, time them, check them and recommend one."""

from dataclasses import dataclass
from pathlib import Path

from base.notify import Notify
from targets.bundle.golden import Golden
from targets.catalogue.device_detection import Device
from targets.graph.graph_file import read_graph
from targets.tensorrt.build import build
from targets.tensorrt.builders.choose import Builder
from targets.tensorrt.builders.trtexec import Trtexec
from targets.tensorrt.dla.lowering import QUANTIZED_GRAPH, lower_for_dla
from targets.tensorrt.engine import Engine
from targets.tensorrt.engine_check import EngineCheck
from targets.tensorrt.engine_timing import time_engines
from targets.tensorrt.options import Options, Precision, UnsupportedError
from targets.tensorrt.recommendation import CheckedEngine, Recommendation, recommend


@dataclass(frozen=True)
class BuildContext:
    """What a build of an engine pair needs.

    Attributes:
        builder: Builds engines.
        trtexec: Times engines and runs probes, whichever builder was used.
        device: This device.
        graphs: The bundle's folder of graphs.
        folder: Where to write engines, sidecars and logs.
        golden: The probes.
        threshold: Agreement with the teacher that the run file requires.
        confidence: Confidence level of all intervals.
        notify: Receives progress messages.
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
    context: BuildContext, batch: int, workspace_mib: int, with_int8: bool
) -> tuple[dict[Precision, CheckedEngine], Recommendation]:
    """Build, time and check the engines that the device supports, and recommend one.

    Args:
        context: The device, its tools and the bundle.
        batch: The batch size to optimize for and to time.
        workspace_mib: Scratch memory of the builder.
        with_int8: Whether the device supports int8; if not, only float16 is built.

    Raises:
        BuildError: If an engine cannot be built or run.
        UnsupportedError: If the graphs have another fixed batch size.
    """
    precisions: tuple[Precision, ...] = ("int8", "fp16") if with_int8 else ("fp16",)
    engines: dict[Precision, Engine] = {}
    fixed = _fixed_batch(context)
    if fixed and batch not in (1, fixed):
        raise UnsupportedError(
            f"the graphs have a fixed batch of {fixed}, not {batch}; remove --batch or export again"
        )
    batch, graphs = fixed or batch, context.graphs
    largest = fixed or max(batch, context.golden.chunk_size)
    if context.dla_core is not None:
        largest, graphs = batch, context.folder / "lowered"
        lower_for_dla(context.graphs, context.golden, batch, context.builder.version, graphs)
    for precision in precisions:
        options = Options(precision, "weak", batch, largest, workspace_mib, context.dla_core)
        engines[precision] = build(
            context.builder, context.device, graphs, options, context.folder, context.notify
        )
    timed = time_engines(context.trtexec, context.device, engines, context.folder, context.notify)
    check = EngineCheck(
        context.trtexec,
        context.builder.version,
        context.graphs,
        context.folder,
        context.golden,
        context.threshold,
        context.confidence,
        context.notify,
    )
    checked = {p: check.run(engines[p], *timed[p]) for p in precisions}
    return checked, recommend(checked)


def _fixed_batch(context: BuildContext) -> int:
    """Return the fixed batch size of the exported graphs; 0 if it is dynamic."""
    model = read_graph(context.graphs / QUANTIZED_GRAPH)
    return int(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)
