"""distill: generator against student, no data -> student.safetensors, generator.safetensors.

A recipe whose generator does not outlive a batch leaves the student alone.
"""

import torch
from safetensors.torch import save_file
from torch import nn

from dfkd.training.budget import for_student_steps
from dfkd.training.loop import build_generator
from pipeline.config.chosen_recipes import chosen_recipe, goes_on
from pipeline.config.schema import StudentSection
from pipeline.steps.step_context import Made, Work
from pipeline.steps.teacher import open_teacher
from pipeline.teachers.network_checks import check_feature_shapes, check_student
from pipeline.teachers.networks import build_network, image_spec
from pipeline.training.resumable_training import (
    chosen_device,
    cpu_state,
    make_loop,
    say_dropped_terms,
    train,
)


def run(work: Work) -> Made:
    """Teach a fresh student."""
    config = work.config
    assert isinstance(config.student, StudentSection)
    device, spec = chosen_device(config), image_spec(config.input)
    recipe = chosen_recipe(config.distill.recipe, config.distill.overrides)
    teacher = open_teacher(config, work, device)
    torch.manual_seed(config.seed)
    student = build_network(
        config.student.architecture, config.student.width, spec, config.teacher.classes
    ).to(device)
    check_student(config, student)
    check_feature_shapes(config, teacher, student)
    generator = build_generator(recipe, spec, config.teacher.classes)
    if generator is not None:
        generator.to(device)
    loop = make_loop(
        recipe,
        config,
        teacher=teacher,
        generator=generator,
        student=student,
        plan=for_student_steps(recipe, config.distill.budget.student_steps(recipe.schedule.batch)),
        seed=config.seed,
    )
    say_dropped_terms(loop, work.reporter)
    notes = train(loop, "distill", work)
    assert loop.delivered is not None
    files: dict[str, nn.Module] = {"student": loop.delivered}
    if goes_on(recipe):
        assert generator is not None
        files["generator"] = generator
    paths = {role: work.folder / f"{role}.safetensors" for role in files}
    for role, network in files.items():
        save_file(cpu_state(network), paths[role])
    parameters = sum(p.numel() for p in student.parameters())
    notes["name"] = f"{config.student.architecture}, {parameters:,} parameters"
    return Made(paths, notes)
