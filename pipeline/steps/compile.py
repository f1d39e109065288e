"""compile: graphs -> what the target runs, with both latencies."""

from pathlib import Path

import numpy as np
import onnx

from pipeline.errors import InputError
from pipeline.work import Made, Work
from targets.golden import load_golden
from targets.instruction_sets import this_cpu
from targets.onnxruntime_cpu import (
    answer_golden,
    compile_graph,
    fingerprint,
    open_session,
    rewritten,
    time_together,
)

PARITY = 0.995
"""Least share of probes on which the compiled graph must answer as the graph it came from.

Biases lie on the grid of the integer kernels, so that rounding ties alone are left to move an
answer; saturating kernels move far more.
"""


def run(work: Work) -> Made:
    """Compile both graphs for this CPU, check that they still mean the same, and time them."""
    golden = load_golden(work.inputs["golden"])
    graphs = {"fp32": work.inputs["fp32"], "int8": work.folder / "rewritten.int8.onnx"}
    onnx.save(rewritten(onnx.load(work.inputs["int8-cpu"]), this_cpu()), graphs["int8"])
    files: dict[str, Path] = {}
    notes: dict[str, object] = {"fingerprint": fingerprint(), "threads": 1}
    for precision, exported in (("fp32", work.inputs["fp32"]), ("int8", work.inputs["int8-cpu"])):
        compiled = compile_graph(graphs[precision], work.folder / f"model.{precision}.onnx")
        files[f"compiled-{precision}"] = compiled.path
        meant = answer_golden(open_session(exported, optimised=False), golden).argmax(1)
        given = answer_golden(open_session(compiled.path), golden).argmax(1)
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
    export = work.config.export
    one = (golden.pixels if export.preprocessing else golden.images)[: export.batch or 1]
    times = time_together({name[9:]: path for name, path in files.items()}, one)
    notes |= {"milliseconds": times, "batch": len(one)}
    work.reporter.say(
        f"compile: fp32 {times['fp32']:.3f} ms, int8 {times['int8']:.3f} ms "
        f"at batch {len(one)}, 1 thread"
    )
    return Made(files, notes)
