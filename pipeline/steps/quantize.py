"""quantize: fake-quantize the student and fine-tune it -> quantized.safetensors, quantized.json."""

from typing import Any

from pipeline.config.chosen_recipes import needs_fresh_generator, tuning_recipe
from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import (
    recipe_data,
    sections,
    student_network,
    teacher_network,
    torch_settings,
)
from pipeline.config.weight_range import half_range
from pipeline.roles import FRESH_GENERATOR, GENERATOR, QUANTIZED, QUANTIZERS, STUDENT, TEACHER
from pipeline.step_types import Role, Step, StepContext, StepResult, always


def _needs(config: RunConfig, _: str) -> tuple[Role, ...]:
    if not config.quantize.draws:
        return (TEACHER, STUDENT)
    generator = FRESH_GENERATOR if needs_fresh_generator(config) else GENERATOR
    return (TEACHER, STUDENT, generator)


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    section, recipe = config.quantize, tuning_recipe(config)
    return {
        **sections(config, "input", "seed", "quantize"),
        "teacher": teacher_network(config),
        "student": student_network(config),
        "recipe": recipe_data(recipe),
        "student_steps": section.budget.student_steps(recipe.schedule.batch),
        "exported": section.exported,
        "tunes": section.tunes,
        "weight_range": "half" if half_range(config) else "full",
        "torch": torch_settings(config),
    }


STEP = Step(
    name="quantize",
    needs=_needs,
    makes=always(QUANTIZED, QUANTIZERS),
    settings=_settings,
)


def run(context: StepContext) -> StepResult:
    """Place fake-quantizers, calibrate them and fine-tune, by the run file's method."""
    from pipeline.quantization.quantize_student import quantize_student

    return quantize_student(context)
