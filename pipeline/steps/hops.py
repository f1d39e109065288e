"""hops: measure where the student loses agreement with the teacher -> notes for the report.

The float student and the fake-quantized one run in torch, the exported one as it is written. The
compiled one is judged by `validate`, on the same probes.
"""

from typing import Any

from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import (
    network_modules,
    sections,
    student_network,
    teacher_network,
    torch_settings,
)
from pipeline.roles import GOLDEN, GRAPHS, QUANTIZED, QUANTIZERS, STUDENT
from pipeline.step_types import Step, StepContext, StepResult, always

EXPORTED, WITH_FLOAT_WEIGHTS = GRAPHS["int8-cpu"], GRAPHS["int8-float-weights"]


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    return {
        **sections(config, "input", "export"),
        "confidence": config.gate.confidence,
        "teacher": teacher_network(config),
        "student": student_network(config),
        "torch": torch_settings(config),
    }


STEP = Step(
    name="hops",
    needs=always(STUDENT, QUANTIZED, QUANTIZERS, EXPORTED, WITH_FLOAT_WEIGHTS, GOLDEN),
    makes=always(),
    settings=_settings,
    modules=network_modules,
)


def run(context: StepContext) -> StepResult:
    """Judge the float, the fake-quantized and the exported student on all probes."""
    from pipeline.quantization.hop_agreement import hop_agreements
    from pipeline.reporter import counting
    from targets.bundle.golden import load_golden
    from targets.cpu.layer_errors import ERROR_PROBES, layer_errors

    golden = load_golden(context.inputs[GOLDEN])
    hops = hop_agreements(context, golden)
    images = min(ERROR_PROBES, len(golden.pixels))
    with counting(context.reporter, "hops: layers", images) as advance:
        errors = layer_errors(context.inputs[WITH_FLOAT_WEIGHTS], golden, advance)
    shown = ", ".join(f"{name} {100 * hop['agreement']:.2f} %" for name, hop in hops.items())
    context.reporter.say(f"hops: {shown}")
    return StepResult({}, {"hops": hops, "layer_errors": errors})
