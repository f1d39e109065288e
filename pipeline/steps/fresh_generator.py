"""fresh_generator: train a generator from the teacher alone -> fresh-generator.safetensors.

It is a step of its own so that all methods that quantize with the same generator share it.
"""

from typing import Any

from pipeline.config.chosen_recipes import chosen_recipe, warm_up_recipe
from pipeline.config.schema import RunConfig
from pipeline.config.step_settings import sections, teacher_network, torch_settings
from pipeline.roles import FRESH_GENERATOR, TEACHER
from pipeline.step_types import Step, StepContext, StepResult, always


def _settings(config: RunConfig, _: str) -> dict[str, Any]:
    recipe = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    return {
        **sections(config, "input", "seed"),
        "teacher": teacher_network(config),
        "recipe": warm_up_recipe(recipe).as_data(),
        "torch": torch_settings(config),
    }


STEP = Step(
    name="fresh_generator",
    needs=always(TEACHER),
    makes=always(FRESH_GENERATOR),
    settings=_settings,
)


def run(context: StepContext) -> StepResult:
    """Run the warm-up of the quantization's recipe."""
    from pipeline.training.warm_up import train_fresh_generator

    return train_fresh_generator(context)
