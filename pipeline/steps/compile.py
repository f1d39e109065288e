"""compile: graphs -> models for one CPU target, with their latencies."""

from typing import Any

from pipeline.config.chosen_targets import cpu_targets
from pipeline.config.schema import RunConfig
from pipeline.config.weight_range import half_range
from pipeline.roles import GOLDEN, GRAPHS, PRECISIONS, compiled
from pipeline.step_types import Role, Step, StepContext, StepResult, always
from targets.catalogue.instruction_sets import this_cpu


def _makes(_: RunConfig, target: str) -> tuple[Role, ...]:
    return tuple(compiled(precision, target) for precision in PRECISIONS)


def _settings(config: RunConfig, target: str) -> dict[str, Any]:
    from targets.cpu.session import cpu_fingerprint

    return {
        "target": target,
        "batch": config.export.batch or 1,
        "weight_range": "half" if half_range(config) else "full",
        "there": cpu_fingerprint(cpu_targets(config)[target].cpu),
        "here": cpu_fingerprint(this_cpu()),
    }


STEP = Step(
    name="compile",
    needs=always(GRAPHS["fp32"], GRAPHS["int8-cpu"], GOLDEN),
    makes=_makes,
    settings=_settings,
)


def run(context: StepContext) -> StepResult:
    """Compile the float and the int8 graph for the step's target.

    Raises:
        InputError: If a compiled model does not answer as its graph does.
    """
    from contextlib import AbstractContextManager

    from base.errors import InputError
    from base.notify import Advance
    from pipeline.reporter import counting
    from targets.bundle.golden import load_golden
    from targets.cpu.compile import compile_for_cpu
    from targets.cpu.parity import ParityError

    graphs = {"fp32": context.inputs[GRAPHS["fp32"]], "int8": context.inputs[GRAPHS["int8-cpu"]]}
    golden = load_golden(context.inputs[GOLDEN])
    target = cpu_targets(context.config)[context.target]

    def count(part: str, total: int) -> AbstractContextManager[Advance]:
        return counting(context.reporter, f"compile {target.name}: {part}", total)

    try:
        made = compile_for_cpu(graphs, golden, target, context.folder, count)
    except ParityError as error:
        remedy = "keep some layers in float with quantize.float_layers"
        if error.precision == "fp32":
            remedy = "replace operations of the network that amplify rounding differences"
        elif context.settings["weight_range"] == "full":
            remedy = "set quantize.weight_range: half"
        raise InputError(f"{error}; {remedy}") from None
    context.reporter.say(f"compile {target.name}: {made.summary}")
    files = {compiled(precision, context.target): path for precision, path in made.files.items()}
    return StepResult(files, made.notes)
