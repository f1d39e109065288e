"""Recommend which of two engines to deploy: the faster one that passed."""

from dataclasses import dataclass

from targets.bundle.verdict import Outcome, Verdict
from targets.tensorrt.engine import Engine
from targets.tensorrt.layers import float_layers, opaque_layers, reformat_layers
from targets.tensorrt.options import Precision
from targets.tensorrt.throttling import Throttling

MIN_SPEEDUP = 1.05
"""int8 is recommended if it is at least this much faster than float16; less is noise."""

MIN_GRAPH_AGREEMENT = 0.98
"""Share of probes on which an engine must predict the same class as its graph in ONNX Runtime.

The lower end of the confidence interval must reach it, so that few probes cannot pass by chance.
Predictions are compared because the logits differ by rounding (NVIDIA/Model-Optimizer#869), and
rounding ties change a few predictions. A wrong scale or a broken kernel changes many more. The
value is not 0.99, because an engine with a fixed batch of one runs only 200 probes, and even
200 of 200 prove no more than 0.981.
"""


@dataclass(frozen=True)
class CheckedEngine:
    """An engine with its measurements.

    Attributes:
        engine: The engine.
        milliseconds: Median GPU time per batch.
        same_answer: Share of probes with the same prediction as its graph in ONNX Runtime.
        same_low: Lower end of that share's Wilson interval.
        same_high: Upper end.
        verdict: Agreement with the teacher.
        throttling: What slowed the device while the engine was timed.
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
        """Whether it predicts what its graph predicts."""
        return self.same_low >= MIN_GRAPH_AGREEMENT

    @property
    def undecided(self) -> bool:
        """Whether more probes could change a result."""
        if self.verdict.probes.faults:
            return False
        graph_undecided = self.same_low < MIN_GRAPH_AGREEMENT <= self.same_high
        return graph_undecided or self.verdict.outcome == Outcome.INCONCLUSIVE

    @property
    def passed(self) -> bool:
        """Whether it may be deployed; one for an accelerator must run there at least in part."""
        placement = self.engine.placement
        runs_on_device = placement is None or bool(placement.on_dla)
        return self.verdict.outcome == Outcome.PASS and self.matches_graph and runs_on_device


@dataclass(frozen=True)
class Recommendation:
    """Which engine to deploy.

    Attributes:
        precision: "int8", "fp16", or None if neither passed.
        because: The reason.
    """

    precision: Precision | None
    because: str

    def __str__(self) -> str:
        subject = f"{self.precision} is" if self.precision else "no engine is"
        return f"{subject} recommended: {self.because}"


def recommend(checked: dict[Precision, CheckedEngine]) -> Recommendation:
    """Return the faster engine among those that passed."""
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
    why = _why_not_faster(checked["int8"].engine)
    return Recommendation("fp16", f"int8 is {ratio:.2f} times as fast: {why}")


def _why_not_faster(engine: Engine) -> str:
    """Return what keeps an int8 engine from being faster, as far as its layers show."""
    if not engine.layers:
        return "this TensorRT reports no layer types"
    in_float, reformats = float_layers(engine.layers), reformat_layers(engine.layers)
    opaque = opaque_layers(engine.layers)
    reasons = []
    if in_float:
        reasons.append(f"{len(in_float)} layers run in float ({', '.join(in_float)})")
    if reformats:
        reasons.append(f"{len(reformats)} reformat layers")
    if opaque:
        reasons.append(f"TensorRT gives no details of {', '.join(opaque)}")
    if not any(layer.weighted for layer in engine.layers) and not opaque:
        reasons.append("its layer table contains no layer with weights")
    return "; ".join(reasons) or "all its layers are int8, the network is too small to gain"
