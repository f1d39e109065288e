"""validate: compare the compiled models with the teacher on the probes -> verdict.json."""

from typing import Any

from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import sections
from pipeline.roles import GOLDEN, PRECISIONS, compiled, verdict
from pipeline.step_types import Role, Step, StepContext, StepResult


def _needs(_: RunConfig, target: str) -> tuple[Role, ...]:
    return (GOLDEN, *(compiled(precision, target) for precision in PRECISIONS))


def _makes(_: RunConfig, target: str) -> tuple[Role, ...]:
    return (verdict(target),)


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    return sections(config, "gate")


STEP = Step(name="validate", needs=_needs, makes=_makes, settings=_settings)


def run(context: StepContext) -> StepResult:
    """Judge the compiled models in the runtime that will run them.

    The int8 verdict is the run's verdict; the fp32 verdict shows what quantization cost.
    """
    import json

    from pipeline.reporter import counting
    from targets.bundle.confusions import confusions
    from targets.bundle.golden import load_golden
    from targets.bundle.verdict import judge
    from targets.cpu.session import open_session, predict_golden

    golden, gate = load_golden(context.inputs[GOLDEN]), context.config.gate
    verdicts, answers = {}, {}
    phase, total = f"validate {context.target}", len(PRECISIONS) * len(golden.pixels)
    with counting(context.reporter, phase, total) as advance:
        for precision in PRECISIONS:
            session = open_session(context.inputs[compiled(precision, context.target)], threads=0)
            logits = answers[precision] = predict_golden(session, golden, advance)
            verdicts[precision] = judge(golden, logits, gate.agreement, gate.confidence)
    path = context.folder / "verdict.json"
    document = {precision: judged.as_json() for precision, judged in verdicts.items()}
    path.write_text(json.dumps(document, indent=2) + "\n")
    int8 = verdicts["int8"]
    context.reporter.say(
        f"validate {context.target}: {int8.outcome}, agreement {100 * int8.agreement:.2f} % "
        f"[{100 * int8.low:.2f}, {100 * int8.high:.2f}] on {int8.images} probes; {int8.because}"
    )
    notes = {"confusions": confusions(golden.teacher_logits, answers["int8"])}
    return StepResult({verdict(context.target): path}, notes)
