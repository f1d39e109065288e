"""Which of two engines to deploy: the faster one that passed, and why."""

from dataclasses import dataclass

from targets.bundle.verdict import Outcome, Verdict
from targets.tensorrt.engine import Engine
from targets.tensorrt.layers import float_layers, opaque_layers, reformat_layers
from targets.tensorrt.options import Precision
from targets.tensorrt.throttling import Throttling

MIN_SPEEDUP = 1.05
"""int8 is recommended when it is faster than float16 by this factor: less is noise."""

MIN_GRAPH_AGREEMENT = 0.98
"""Share of probes on which an engine must be known to answer as its graph does in ONNX Runtime.

Known, as for the gate: the whole interval lies above, so that few probes pass nothing that many
would not. Both round differently, so that closeness of numbers is no test
(NVIDIA/Model-Optimizer#869) and ties move an answer here and there; a wrong scale or a broken
kernel moves far more. Not 0.99: that no engine could show on the 200 probes that the time allows an
engine of a fixed batch of one (200 of 200 are known to be 0.981).
"""


@dataclass(frozen=True)
class CheckedEngine:
    """An engine with what it was seen to do.

    Attributes:
        engine: The engine.
        milliseconds: Median of the GPU's time for a batch.
        same_answer: Share of the probes answered as its graph answers in ONNX Runtime.
        same_low: Lower end of that share's Wilson interval.
        same_high: Upper end.
        verdict: Against the teacher.
        throttling: What held the device back while it was timed.
    """

    engine: Engine
    milliseconds: float
    same_answer: float
    same_low: float
    same_high: float
    verdict: Verdict
    throttling: Throttling

    @property
    def matches_graph(self) -> bool:
        """Whether it is known to answer as its graph does."""
        return self.same_low >= MIN_GRAPH_AGREEMENT

    @property
    def undecided(self) -> bool:
        """Whether one of both questions is still open."""
        undecided = self.same_low < MIN_GRAPH_AGREEMENT <= self.same_high
        return undecided or self.verdict.outcome == Outcome.INCONCLUSIVE

    @property
    def passed(self) -> bool:
        """Whether it may be deployed; one for an accelerator on which nothing runs may not."""
        runs_there = self.engine.shares is None or bool(self.engine.shares.on_dla)
        agrees = self.verdict.outcome == Outcome.PASS and self.matches_graph
        return agrees and runs_there


@dataclass(frozen=True)
class Recommendation:
    """Which engine to deploy.

    Attributes:
        precision: "int8", "fp16", or None when neither passed.
        because: Why.
    """

    precision: Precision | None
    because: str


def recommend(checked: dict[Precision, CheckedEngine]) -> Recommendation:
    """The faster engine that agrees with the teacher, and why."""
    passed = [precision for precision in checked if checked[precision].passed]
    if not passed:
        return Recommendation(None, "no engine passed")
    if "int8" not in checked:
        return Recommendation("fp16", "this device has no int8")
    if "int8" not in passed:
        return Recommendation("fp16", "int8 did not pass")
    if "fp16" not in passed:
        return Recommendation("int8", "float16 did not pass")
    ratio = checked["fp16"].milliseconds / checked["int8"].milliseconds
    if ratio >= MIN_SPEEDUP:
        return Recommendation("int8", f"{ratio:.2f} times as fast as float16, and it passed")
    return Recommendation(
        "fp16", f"int8 is {ratio:.2f} times as fast: {_why(checked['int8'].engine)}"
    )


def _why(engine: Engine) -> str:
    """What keeps an int8 engine from being faster, as far as its layers tell."""
    if not engine.table:
        return "this TensorRT names no layers' types"
    floats, between, closed = (
        float_layers(engine.table),
        reformat_layers(engine.table),
        opaque_layers(engine.table),
    )
    reasons = []
    if floats:
        reasons.append(f"{len(floats)} layers stayed in float ({', '.join(floats)})")
    if between:
        reasons.append(f"{len(between)} reformats between")
    if closed:
        reasons.append(f"TensorRT does not tell what is inside {', '.join(closed)}")
    if not any(layer.weighted for layer in engine.table) and not closed:
        reasons.append("its table names no layer with weights")
    return "; ".join(reasons) or "all its layers are int8, the network is too small to gain"
