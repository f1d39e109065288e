"""validate: the compiled artifacts against the teacher, on the held-out probes -> verdict.json."""

import json

from pipeline.steps.step_context import PRECISIONS, Made, Work
from targets.bundle.golden import load_golden
from targets.bundle.verdict import judge
from targets.cpu.session import open_session, predict_golden


def run(work: Work) -> Made:
    """Judge the artifacts that may be deployed, in the runtime that will run them.

    The int8 verdict is the run's; that of fp32 says what quantization cost.
    """
    golden, gate = load_golden(work.inputs["golden"]), work.config.gate
    verdicts = {}
    for precision in PRECISIONS:
        session = open_session(work.inputs[f"compiled-{precision}"])
        logits = predict_golden(session, golden)
        verdicts[precision] = judge(golden, logits, gate.agreement, gate.confidence)
    path = work.folder / "verdict.json"
    document = {precision: verdict.as_json() for precision, verdict in verdicts.items()}
    path.write_text(json.dumps(document, indent=2) + "\n")
    verdict = verdicts["int8"]
    work.reporter.say(
        f"validate {work.target}: {verdict.outcome}, agreement {100 * verdict.agreement:.2f} % "
        f"[{100 * verdict.low:.2f}, {100 * verdict.high:.2f}] on {verdict.images} probes"
    )
    return Made({"verdict": path})
