"""compile: graphs -> what the target runs, with both latencies."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.chosen_targets import cpu_targets
from pipeline.errors import InputError
from pipeline.work import Made, Work
from targets.golden import Golden, load_golden
from targets.onnxruntime_cpu import (
    answer_golden,
    compile_graph,
    fingerprint,
    open_session,
    rewrite_graph,
    time_together,
)

PARITY = 0.995
"""Least share of probes on which the compiled graph must answer as the graph it came from.

Biases lie on the grid of the integer kernels, so that rounding ties alone are left to move an
answer; saturating kernels move far more.
"""


def run(work: Work) -> Made:
    """Compile both graphs for a CPU, check that they still mean the same, and time them.

    For this machine's kind of CPU they are stored as ONNX Runtime fuses them here; for another one
    as they are handed to it there, and nothing is timed.
    """
    golden, target = load_golden(work.inputs["golden"]), cpu_targets(work.config)[work.target]
    exported = {"fp32": work.inputs["fp32"], "int8": work.inputs["int8-cpu"]}
    files: dict[str, Path] = {}
    notes: dict[str, Any] = {"fingerprint": fingerprint(target.cpu), "threads": 1}
    for precision, graph in exported.items():
        handed = rewrite_graph(graph, work.folder / f"handed.{precision}.onnx", target.cpu)
        compiled = compile_graph(handed, work.folder / f"model.{precision}.onnx")
        path = compiled.path if target.is_here else handed
        files[f"compiled-{precision}"] = path
        notes[precision] = {
            "parity": _parity(graph, path, golden, precision),
            "integer_layers": compiled.integer_layers if target.is_here else None,
            "layers": compiled.layers,
        }
    export = work.config.export
    some = (golden.pixels if export.preprocessing else golden.images)[: export.batch or 1]
    notes["batch"] = len(some)
    notes["milliseconds"] = dict.fromkeys(exported)
    said = "not timed, this machine has another CPU"
    if target.is_here:
        times = time_together({p: files[f"compiled-{p}"] for p in exported}, some)
        notes["milliseconds"] = times
        said = f"fp32 {times['fp32']:.3f} ms, int8 {times['int8']:.3f} ms"
        said += f" at batch {len(some)}, 1 thread"
    work.reporter.say(f"compile {target.name}: {said}")
    return Made(files, notes)


def _parity(exported: Path, compiled: Path, golden: Golden, precision: str) -> float:
    """Share of the probes on which the compiled graph answers as the exported one.

    Raises:
        InputError: When it is too small.
    """
    meant = answer_golden(open_session(exported, optimised=False), golden).argmax(1)
    given = answer_golden(open_session(compiled), golden).argmax(1)
    parity = float(np.mean(meant == given))
    if parity < PARITY:
        raise InputError(
            f"compile: the optimised {precision} graph answers differently on "
            f"{100 * (1 - parity):.1f} % of the probes; set quantize.weight_range: half"
        )
    return parity
