"""A student's graphs for a CPU: rewritten, fused, checked to mean the same, timed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from targets.bundle.golden import Golden
from targets.catalogue.catalogue import CpuTarget
from targets.cpu.session import (
    compile_graph,
    cpu_fingerprint,
    open_session,
    predict_golden,
    rewrite_graph_file,
    time_interleaved,
)

MIN_PARITY = 0.995
"""Least share of probes on which the compiled graph must answer as the graph it came from.

Biases lie on the grid of the integer kernels, so that rounding ties alone are left to move an
answer; saturating kernels move far more.
"""


class ParityError(ValueError):
    """The compiled graph does not mean what the exported one means."""


@dataclass(frozen=True)
class CompiledForCpu:
    """What a CPU runs.

    Attributes:
        files: The compiled graph of each precision.
        notes: Fingerprint, counts of integer layers, parity, milliseconds.
        summary: One line for people.
    """

    files: dict[str, Path]
    notes: dict[str, Any]
    summary: str


def compile_for_cpu(
    exported: dict[str, Path], golden: Golden, target: CpuTarget, folder: Path
) -> CompiledForCpu:
    """Compile graphs for a CPU, check that they still mean the same, and time them.

    For this machine's kind of CPU they are stored as ONNX Runtime fuses them here; for another one
    as they are handed to it there, and nothing is timed.

    Args:
        exported: The graph of each precision.
        golden: The probes.
        target: The CPU.
        folder: Where to write model.PRECISION.onnx.

    Raises:
        ParityError: When a compiled graph answers otherwise.
    """
    files: dict[str, Path] = {}
    notes: dict[str, Any] = {"fingerprint": cpu_fingerprint(target.cpu), "threads": 1}
    for precision, graph in exported.items():
        handed = rewrite_graph_file(graph, folder / f"handed.{precision}.onnx", target.cpu)
        compiled = compile_graph(handed, folder / f"model.{precision}.onnx")
        path = compiled.path if target.matches_this_machine else handed
        files[precision] = path
        (handed if target.matches_this_machine else compiled.path).unlink()
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
    some = (golden.pixels if images.type == "tensor(uint8)" else golden.images)[:batch]
    notes["batch"] = len(some)
    notes["milliseconds"] = dict.fromkeys(exported)
    summary = "not timed, this machine has another CPU"
    if target.matches_this_machine:
        times = time_interleaved(files, some)
        notes["milliseconds"] = times
        summary = f"fp32 {times['fp32']:.3f} ms, int8 {times['int8']:.3f} ms"
        summary += f" at batch {len(some)}, 1 thread"
    return CompiledForCpu(files, notes, summary)


def _parity(exported: Path, compiled: Path, golden: Golden, precision: str) -> float:
    """Share of the probes on which the compiled graph answers as the exported one.

    Raises:
        ParityError: When it is too small.
    """
    meant = predict_golden(open_session(exported, optimised=False), golden).argmax(1)
    given = predict_golden(open_session(compiled), golden).argmax(1)
    parity = float(np.mean(meant == given))
    if parity < MIN_PARITY:
        raise ParityError(
            f"compile: the optimised {precision} graph answers differently on "
            f"{100 * (1 - parity):.1f} % of the probes; set quantize.weight_range: half"
        )
    return parity
