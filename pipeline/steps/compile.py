"""compile: graphs -> what a CPU runs, with both latencies."""

from base.errors import InputError
from pipeline.config.chosen_targets import cpu_targets
from pipeline.steps.step_context import Made, Work
from targets.bundle.golden import load_golden
from targets.cpu.compile import ParityError, compile_for_cpu


def run(work: Work) -> Made:
    """Compile both graphs for the step's target."""
    exported = {"fp32": work.inputs["fp32"], "int8": work.inputs["int8-cpu"]}
    golden, target = load_golden(work.inputs["golden"]), cpu_targets(work.config)[work.target]
    try:
        made = compile_for_cpu(exported, golden, target, work.folder)
    except ParityError as error:
        raise InputError(str(error)) from None
    work.reporter.say(f"compile {target.name}: {made.summary}")
    files = {f"compiled-{precision}": path for precision, path in made.files.items()}
    return Made(files, made.notes)
