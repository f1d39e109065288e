"""fresh_generator: train a generator from the teacher alone -> fresh-generator.safetensors.

It is a step of its own so that all methods that quantize with the same generator share it.
"""

from typing import Any

from pipeline.config.chosen_recipes import fresh_generator_recipe
from pipeline.config.own_recipes import own_modules
from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import (
    recipe_data,
    sections,
    teacher_modules,
    teacher_network,
    torch_settings,
)
from pipeline.roles import FRESH_GENERATOR, TEACHER
from pipeline.step_types import Step, StepContext, StepResult, always


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    return {
        **sections(config, "input", "seed"),
        "teacher": teacher_network(config),
        "recipe": recipe_data(fresh_generator_recipe(config)),
        "torch": torch_settings(config),
    }


def _modules(config: RunConfig) -> tuple[str, ...]:
    own = own_modules(config.quantize.recipe)
    return (*fresh_generator_recipe(config).modules(), *own, *teacher_modules(config))


STEP = Step(
    name="fresh_generator",
    needs=always(TEACHER),
    makes=always(FRESH_GENERATOR),
    settings=_settings,
    modules=_modules,
)


def run(context: StepContext) -> StepResult:
    """Run the warm-up of the quantization's recipe."""
    from pipeline.training.warm_up import train_fresh_generator

    return train_fresh_generator(context)
