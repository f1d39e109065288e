"""probe: held-out generators, trained from the teacher alone, draw the probes -> golden.npz."""

from typing import Any

from pipeline.config.gate_plan import gate_plan
from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import (
    recipe_data,
    sections,
    teacher_modules,
    teacher_network,
    torch_settings,
)
from pipeline.roles import BUNDLE_GOLDEN, GOLDEN, TEACHER
from pipeline.step_types import Step, StepContext, StepResult, always


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    plan = gate_plan(config)
    return {
        **sections(config, "input", "seed"),
        "gate": {
            "images": config.gate.images,
            "generators": config.gate.generators,
            "rounds": plan.rounds,
        },
        "teacher": teacher_network(config),
        "recipe": recipe_data(plan.recipe),
        "torch": torch_settings(config),
    }


def _modules(config: RunConfig) -> tuple[str, ...]:
    return (*gate_plan(config).recipe.modules(), *teacher_modules(config))


STEP = Step(
    name="probe",
    needs=always(TEACHER),
    makes=always(GOLDEN, BUNDLE_GOLDEN),
    settings=_settings,
    modules=_modules,
)


def run(context: StepContext) -> StepResult:
    """Train the held-out generators, draw the probes, and record the teacher's answers."""
    from pipeline.training.probe_images import draw_probes

    golden, notes = draw_probes(context)
    files = {
        GOLDEN: context.folder / "golden.npz",
        BUNDLE_GOLDEN: context.folder / "bundle-golden.npz",
    }
    golden.save(files[GOLDEN])
    golden.for_bundle().save(files[BUNDLE_GOLDEN])
    return StepResult(files, notes)
