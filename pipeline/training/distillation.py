"""Training a student from a teacher without data."""

import torch
from safetensors.torch import save_file
from torch import nn

from dfkd.training.budget import for_student_steps
from dfkd.training.loop import build_generator
from pipeline.config.chosen_recipes import distilling_recipe, keeps_generator
from pipeline.roles import GENERATOR, STUDENT
from pipeline.step_types import Role, StepContext, StepResult
from pipeline.teachers.network_checks import check_feature_shapes, check_student
from pipeline.teachers.networks import build_section, image_spec
from pipeline.teachers.step_inputs import cpu_state, open_teacher
from pipeline.teachers.teacher_start import start_student
from pipeline.training.resumable_training import (
    chosen_device,
    make_loop,
    report_dropped_terms,
    train,
)


def distill(context: StepContext) -> StepResult:
    """Train a new student, and a generator if the recipe keeps one.

    Raises:
        InputError: If teacher, student and recipe do not fit together, or training diverges.
    """
    config = context.config
    assert config.student != "same"
    device, spec = chosen_device(config), image_spec(config.input)
    recipe = distilling_recipe(config)
    teacher = open_teacher(context, device)
    torch.manual_seed(config.seed)
    student = build_section(config.student, spec, config.teacher.classes).to(device)
    check_student(config, student)
    check_feature_shapes(config, teacher, student)
    start = start_student(config, student, teacher)
    if start is not None:
        context.reporter.say(f"distill: start: {start}")
    generator = build_generator(recipe, spec, config.teacher.classes)
    if generator is not None:
        generator.to(device)
    loop = make_loop(
        recipe,
        config,
        teacher=teacher,
        generator=generator,
        student=student,
        plan=for_student_steps(recipe, context.settings["student_steps"]),
        seed=config.seed,
    )
    report_dropped_terms(loop, context.reporter)
    notes = train(loop, "distill", context)
    assert loop.delivered is not None
    networks: dict[Role, nn.Module] = {STUDENT: loop.delivered}
    if keeps_generator(recipe):
        assert generator is not None
        networks[GENERATOR] = generator
    files = {role: context.folder / f"{role.name}.safetensors" for role in networks}
    for role, network in networks.items():
        save_file(cpu_state(network), files[role])
    parameters = sum(p.numel() for p in student.parameters())
    notes["name"] = f"{config.student.architecture}, {parameters:,} parameters"
    if start is not None:
        notes["name"] += f"; start: {start}"
    return StepResult(files, notes)
