"""Compile a student's graphs for a CPU: rewrite, fuse, check against the original, time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.notify import Counting, not_counted
from targets.bundle.golden import Golden
from targets.catalogue.target_types import CpuTarget
from targets.cpu.layer_times import layer_time_shares
from targets.cpu.parity import check_parity
from targets.cpu.session import (
    compile_graph,
    cpu_fingerprint,
    open_session,
    rewrite_graph_file,
    time_interleaved,
)

TIMED_RUNS = 100
"""Timed runs of each graph, after a tenth as many warm-up runs."""


@dataclass(frozen=True)
class CompiledForCpu:
    """The result of compiling for a CPU.

    Attributes:
        files: File of the compiled graph for each precision.
        notes: Fingerprint, integer layers, parity (share of equal predictions among the clear
            ones), milliseconds, and each layer's kernel and share of the time, for the record and
            the report.
        summary: One line for the user.
    """

    files: dict[str, Path]
    notes: dict[str, Any]
    summary: str


def compile_for_cpu(
    exported: dict[str, Path],
    golden: Golden,
    target: CpuTarget,
    folder: Path,
    counting: Counting = not_counted,
) -> CompiledForCpu:
    """Compile graphs for a CPU, check their predictions and time them.

    If this machine matches the target, the graphs are stored after ONNX Runtime's fusions.
    Otherwise they are stored before the fusions, which ONNX Runtime then makes on the target, and
    nothing is timed.

    Args:
        exported: The graph of each precision; "fp32" and "int8".
        golden: The probes.
        target: The CPU.
        folder: Folder for the compiled graphs.
        counting: Shows the progress of parity check and timing.

    Raises:
        ParityError: If a compiled graph differs too much from the exported one.
    """
    files: dict[str, Path] = {}
    notes: dict[str, Any] = {"fingerprint": cpu_fingerprint(target.cpu), "threads": 1}
    for precision, graph in exported.items():
        rewritten = rewrite_graph_file(graph, folder / f"handed.{precision}.onnx", target.cpu)
        compiled = compile_graph(rewritten, folder / f"model.{precision}.onnx")
        path = compiled.path if target.matches_this_machine else rewritten
        files[precision] = path
        (rewritten if target.matches_this_machine else compiled.path).unlink()
        notes[precision] = {
            "integer_layers": compiled.integer_layers if target.matches_this_machine else None,
            "layers": [
                {
                    "layer": name,
                    "kernel": kernel if target.matches_this_machine else None,
                    "time_share": None,
                }
                for name, kernel in compiled.layers
            ],
        }
    for precision, parity in check_parity(exported, files, golden, counting).items():
        notes[precision]["parity"] = parity.same_clear
    session = open_session(files["fp32"])
    (images,) = session.get_inputs()
    batch = images.shape[0] if isinstance(images.shape[0], int) else 1
    pixels = golden.pixels[:batch]
    sample = pixels if images.type == "tensor(uint8)" else golden.normalise(pixels)
    notes["batch"] = len(sample)
    notes["milliseconds"] = dict.fromkeys(exported)
    summary = "not timed: this machine has another CPU"
    if target.matches_this_machine:
        with counting("timing", TIMED_RUNS + TIMED_RUNS // 10) as advance:
            times = time_interleaved(files, sample, TIMED_RUNS, advance=advance)
        notes["milliseconds"] = times
        for precision, path in files.items():
            layers = notes[precision]["layers"]
            shares = layer_time_shares(path, sample, [layer["layer"] for layer in layers])
            for layer in layers:
                layer["time_share"] = shares.get(layer["layer"])
        summary = f"fp32 {times['fp32']:.3f} ms, int8 {times['int8']:.3f} ms"
        summary += f" at batch {len(sample)}, 1 thread"
    return CompiledForCpu(files, notes, summary)
