"""Compile a student's graphs for a CPU: rewrite, fuse, check against the original, time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from targets.bundle.golden import Golden
from targets.catalogue.target_types import CpuTarget
from targets.cpu.session import (
    compile_graph,
    cpu_fingerprint,
    open_session,
    predict_golden,
    rewrite_graph_file,
    time_interleaved,
)

MIN_PARITY = 0.995
"""Required share of probes on which the compiled graph predicts the same class as the original.

Biases are on the grid of the integer kernels, so only rounding ties can change a prediction.
Saturating kernels change far more.
"""


class ParityError(ValueError):
    """The compiled graph does not predict what the exported graph predicts."""


@dataclass(frozen=True)
class CompiledForCpu:
    """The result of compiling for a CPU.

    Attributes:
        files: The compiled graph of each precision.
        notes: Fingerprint, integer layers, parity and milliseconds, for the record and the report.
        summary: One line for people.
    """

    files: dict[str, Path]
    notes: dict[str, Any]
    summary: str


def compile_for_cpu(
    exported: dict[str, Path], golden: Golden, target: CpuTarget, folder: Path
) -> CompiledForCpu:
    """Compile graphs for a CPU, check their predictions and time them.

    If this machine matches the target, the graphs are stored after ONNX Runtime's fusions.
    Otherwise they are stored as rewritten, ONNX Runtime fuses them on the target, and nothing is
    timed.

    Args:
        exported: The graph of each precision; "fp32" and "int8".
        golden: The probes.
        target: The CPU.
        folder: Where to write model.PRECISION.onnx.

    Raises:
        ParityError: If a compiled graph predicts other classes than the exported one.
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
            "parity": _parity(graph, path, golden, precision),
            "integer_layers": compiled.integer_layers if target.matches_this_machine else None,
            "layers": [
                {"layer": name, "kernel": kernel if target.matches_this_machine else None}
                for name, kernel in compiled.layers
            ],
        }
    session = open_session(files["fp32"])
    (images,) = session.get_inputs()
    batch = images.shape[0] if isinstance(images.shape[0], int) else 1
    sample = (golden.pixels if images.type == "tensor(uint8)" else golden.images)[:batch]
    notes["batch"] = len(sample)
    notes["milliseconds"] = dict.fromkeys(exported)
    summary = "not timed: this machine has another CPU"
    if target.matches_this_machine:
        times = time_interleaved(files, sample)
        notes["milliseconds"] = times
        summary = f"fp32 {times['fp32']:.3f} ms, int8 {times['int8']:.3f} ms"
        summary += f" at batch {len(sample)}, 1 thread"
    return CompiledForCpu(files, notes, summary)


def _parity(exported: Path, compiled: Path, golden: Golden, precision: str) -> float:
    """Return the share of probes for which both graphs predict the same class.

    Raises:
        ParityError: If it is below MIN_PARITY.
    """
    expected = predict_golden(open_session(exported, optimized=False), golden).argmax(1)
    actual = predict_golden(open_session(compiled), golden).argmax(1)
    parity = float(np.mean(expected == actual))
    if parity < MIN_PARITY:
        raise ParityError(
            f"compile: the optimized {precision} graph predicts another class on "
            f"{100 * (1 - parity):.1f} % of the probes; set quantize.weight_range: half"
        )
    return parity
