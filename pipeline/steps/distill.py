"""distill: train a student against a generator, without data -> student, generator .safetensors.

A recipe whose generator does not outlive a batch makes the student alone.
"""

from typing import Any

from pipeline.config.chosen_recipes import distilling_recipe, keeps_generator
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
from pipeline.roles import GENERATOR, STUDENT, TEACHER
from pipeline.step_types import Role, Step, StepContext, StepResult, always


def _makes(config: RunConfig, _: str) -> tuple[Role, ...]:
    recipe = distilling_recipe(config)
    return (STUDENT, GENERATOR) if keeps_generator(recipe) else (STUDENT,)


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    recipe = distilling_recipe(config)
    return {
        **sections(config, "input", "seed"),
        "teacher": teacher_network(config),
        "student": student_network(config),
        "recipe": recipe_data(recipe),
        "student_steps": config.distill.budget.student_steps(recipe.schedule.batch),
        "torch": torch_settings(config),
    }


def _modules(config: RunConfig) -> tuple[str, ...]:
    recipe = distilling_recipe(config)
    own = own_modules(config.distill.recipe)
    return (*recipe.modules(), *own, *network_modules(config))


STEP = Step(
    name="distill",
    needs=always(TEACHER),
    makes=_makes,
    settings=_settings,
    modules=_modules,
)


def run(context: StepContext) -> StepResult:
    """Train a new student."""
    from pipeline.training.distillation import distill

    return distill(context)
