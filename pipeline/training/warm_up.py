"""Training a generator from the teacher alone."""

import torch
from safetensors.torch import save_file

from dfkd.training.budget import Plan
from dfkd.training.loop import build_generator
from pipeline.config.chosen_recipes import fresh_generator_recipe
from pipeline.roles import FRESH_GENERATOR
from pipeline.step_types import StepContext, StepResult
from pipeline.teachers.network_checks import check_student
from pipeline.teachers.networks import image_spec
from pipeline.teachers.step_inputs import cpu_state, open_teacher
from pipeline.training.resumable_training import (
    chosen_device,
    make_loop,
    report_dropped_terms,
    train,
)


def train_fresh_generator(context: StepContext) -> StepResult:
    """Run the warm-up of the quantization's recipe.

    Raises:
        InputError: If the teacher does not suit the recipe, or training diverges.
    """
    config = context.config
    recipe = fresh_generator_recipe(config)
    teacher = open_teacher(context, chosen_device(config))
    if config.student == "same":
        check_student(config, teacher)
    torch.manual_seed(config.seed)
    generator = build_generator(recipe, image_spec(config.input), config.teacher.classes)
    assert generator is not None
    generator.to(chosen_device(config))
    loop = make_loop(
        recipe,
        config,
        teacher=teacher,
        generator=generator,
        student=None,
        plan=Plan(recipe.schedule.warmup_rounds, 0),
        seed=config.seed,
    )
    report_dropped_terms(loop, context.reporter)
    notes = train(loop, "fresh generator", context)
    path = context.folder / "fresh-generator.safetensors"
    save_file(cpu_state(generator), path)
    return StepResult({FRESH_GENERATOR: path}, notes)
