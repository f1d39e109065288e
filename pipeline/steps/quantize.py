"""quantize: fake-quantize the student and fine-tune it -> quantized.safetensors, quantized.json."""

from typing import Any

from dfkd.recipe import Recipe
from pipeline.config.chosen_recipes import (
    fine_tuning_recipe,
    needs_fresh_generator,
    zeroq_recipe,
)
from pipeline.config.own_recipes import own_modules
from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import (
    network_modules,
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


def _recipes(config: RunConfig) -> list[Recipe]:
    """Return the recipes that the method runs."""
    recipes = [fine_tuning_recipe(config)] if config.quantize.draws else []
    if config.quantize.method == "batch-norm-images":
        recipes.append(zeroq_recipe(config))
    return recipes


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    section, recipe = config.quantize, fine_tuning_recipe(config)
    return {
        **sections(config, "input", "seed", "quantize"),
        "teacher": teacher_network(config),
        "student": student_network(config),
        "recipes": [recipe_data(recipe) for recipe in _recipes(config)],
        "student_steps": section.budget.student_steps(recipe.schedule.batch),
        "exported": section.exported,
        "tunes": section.tunes,
        "weight_range": "half" if half_range(config) else "full",
        "torch": torch_settings(config),
    }


def _modules(config: RunConfig) -> tuple[str, ...]:
    parts = [module for recipe in _recipes(config) for module in recipe.modules()]
    own = own_modules(config.quantize.recipe) if config.quantize.draws else ()
    return (*parts, *own, *network_modules(config))


STEP = Step(
    name="quantize",
    needs=_needs,
    makes=always(QUANTIZED, QUANTIZERS),
    settings=_settings,
    modules=_modules,
)


def run(context: StepContext) -> StepResult:
    """Place fake-quantizers, calibrate them and fine-tune, by the run file's method."""
    from pipeline.quantization.quantize_student import quantize_student

    return quantize_student(context)
