"""fresh_generator: one that learns from the teacher alone -> fresh-generator.safetensors.

A step of its own, so that methods which quantize with the same generator share it.
"""

import torch
from safetensors.torch import save_file

from dfkd.training.budget import Plan
from dfkd.training.loop import build_generator
from pipeline.config.chosen_recipes import chosen_recipe, taught_by_the_teacher
from pipeline.steps.step_context import Made, Work
from pipeline.steps.teacher import open_teacher
from pipeline.teachers.network_checks import check_student
from pipeline.teachers.networks import image_spec
from pipeline.training.resumable_training import (
    chosen_device,
    cpu_state,
    make_loop,
    say_dropped_terms,
    train,
)


def run(work: Work) -> Made:
    """The warm-up of the quantization's recipe."""
    config = work.config
    recipe = taught_by_the_teacher(chosen_recipe(config.quantize.recipe, config.quantize.overrides))
    teacher = open_teacher(config, work, chosen_device(config))
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
    say_dropped_terms(loop, work.reporter)
    notes = train(loop, "fresh generator", work)
    path = work.folder / "fresh-generator.safetensors"
    save_file(cpu_state(generator), path)
    return Made({"fresh-generator": path}, notes)
