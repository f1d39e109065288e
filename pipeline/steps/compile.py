"""compile: graphs -> what the target runs, with both latencies."""

from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.work import Made, Work
from targets.golden import load_golden
from targets.onnxruntime_cpu import (
    answer,
    compile_graph,
    fingerprint,
    open_session,
    time_together,
)

PARITY = 0.95
"""Least share of probes on which the compiled graph must answer as the graph it came from.

Rounding ties alone move answers near the teacher's boundaries; saturating kernels move far more.
"""


def run(work: Work) -> Made:
    """Compile both graphs for this CPU, check that they still mean the same, and time them."""
    images = load_golden(work.inputs["golden"]).images
    files: dict[str, Path] = {}
    notes: dict[str, object] = {"fingerprint": fingerprint(), "threads": 1}
    for precision in ("fp32", "int8"):
        graph = work.inputs[precision]
        compiled = compile_graph(graph, work.folder / f"model.{precision}.onnx")
        files[f"compiled-{precision}"] = compiled.path
        meant = answer(open_session(graph, optimised=False), images).argmax(1)
        given = answer(open_session(compiled.path), images).argmax(1)
        parity = float(np.mean(meant == given))
        if parity < PARITY:
            raise InputError(
                f"compile: the optimised {precision} graph answers differently on "
                f"{100 * (1 - parity):.1f} % of the probes; set quantize.weight_range: half"
            )
        notes[precision] = {
            "parity": parity,
            "integer_layers": compiled.integer_layers,
            "layers": compiled.layers,
        }
    times = time_together({name[9:]: path for name, path in files.items()}, images[:1])
    notes["milliseconds"] = times
    work.reporter.say(
        f"compile: fp32 {times['fp32']:.3f} ms, int8 {times['int8']:.3f} ms at batch 1, 1 thread"
    )
    return Made(files, notes)
