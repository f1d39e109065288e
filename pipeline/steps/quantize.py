"""quantize: the same generator attacks the student's int8 form -> quantized.safetensors, .json."""

import json
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfkd.loop import Loop, build_generator
from dfkd.recipe import Recipe, RecipeError
from pipeline.config import RunConfig, StudentSection
from pipeline.errors import InputError
from pipeline.fake_quantizers import describe, prepare
from pipeline.networks import build_network, image_spec
from pipeline.recipes import chosen_recipe
from pipeline.steps.teacher import open_teacher
from pipeline.training import chosen_device, cpu_state, say_dropped_terms, train
from pipeline.work import Made, Work
from targets.catalogue import needs_half_range_weights


def run(work: Work) -> Made:
    """Place fake-quantizers, calibrate them on the generator's images, and fine-tune."""
    config, device = work.config, chosen_device(work.config)
    recipe = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    teacher = open_teacher(config, work, device)
    student = open_student(config, work).to(device)
    torch.manual_seed(config.seed)
    recipe, generator = _generator(work, recipe, device)
    steps = config.quantize.budget.student_steps(recipe.schedule.batch)
    notes: dict[str, Any] = {}
    if "generator" not in work.inputs:
        warmup = _loop(recipe, config, teacher, generator, None, 0, device)
        say_dropped_terms(warmup, work.reporter)
        checkpoint = work.checkpoints / "warm-up.checkpoint"
        notes["warm-up"] = train(warmup, "quantize: generator", checkpoint, work.reporter)
    images = _calibration_images(generator, recipe, config, device)
    half = half_range(config)
    prepared = prepare(student, images, half).to(device)
    tuning = replace(recipe, schedule=replace(recipe.schedule, warmup_rounds=0))
    loop = _loop(tuning, config, teacher, generator, prepared, steps, device)
    notes["fine-tuning"] = train(
        loop, "quantize", work.checkpoints / "quantize.checkpoint", work.reporter
    )
    weights, places = work.folder / "quantized.safetensors", work.folder / "quantized.json"
    save_file(cpu_state(prepared), weights)
    places.write_text(json.dumps(describe(prepared), sort_keys=True))
    notes["weight_range"] = "half" if half else "full"
    return Made({"quantized": weights, "quantizers": places}, notes)


def open_student(config: RunConfig, work: Work) -> nn.Module:
    """The float student that the run has so far: the distilled one, or the teacher itself."""
    section = config.teacher if config.student == "same" else config.student
    assert isinstance(section, StudentSection) or section is config.teacher
    spec, classes = image_spec(config.input), config.teacher.classes
    student = build_network(section.architecture, section.width, spec, classes)
    student.load_state_dict(load_file(work.inputs["student"]))
    return student.eval()


def half_range(config: RunConfig) -> bool:
    """Whether int8 weights keep to half of their range; `auto` asks the run's targets."""
    if config.quantize.weight_range == "auto":
        return any(needs_half_range_weights(target) for target in config.targets)
    return config.quantize.weight_range == "half"


def _generator(work: Work, recipe: Recipe, device: torch.device) -> tuple[Recipe, nn.Module]:
    """The generator that taught the student, in the architecture of its recipe; or a fresh one."""
    config = work.config
    taught = "generator" in work.inputs
    if taught:
        first = chosen_recipe(config.distill.recipe, config.distill.overrides)
        recipe = replace(
            recipe,
            generator=first.generator,
            latent=first.latent,
            width=first.width,
            conditional=first.conditional,
        )
    generator = build_generator(recipe, image_spec(config.input), config.teacher.classes)
    if taught:
        generator.load_state_dict(load_file(work.inputs["generator"]))
    return recipe, generator.to(device)


def _loop(
    recipe: Recipe,
    config: RunConfig,
    teacher: nn.Module,
    generator: nn.Module,
    student: nn.Module | None,
    steps: int,
    device: torch.device,
) -> Loop:
    try:
        return Loop(
            recipe,
            teacher=teacher,
            generator=generator,
            student=student,
            classes=config.teacher.classes,
            student_steps=steps,
            seed=config.seed,
            device=device,
        )
    except RecipeError as error:
        raise InputError(f"quantize: {error}") from None


@torch.no_grad()
def _calibration_images(
    generator: nn.Module, recipe: Recipe, config: RunConfig, device: torch.device
) -> Tensor:
    """One draw, the generator in train mode as the student will meet it."""
    rng = torch.Generator().manual_seed(config.seed + 1)
    count = config.quantize.calibration_images
    latents = torch.randn(count, recipe.latent, generator=rng).to(device)
    labels = None
    if recipe.conditional:
        labels = torch.randint(config.teacher.classes, (count,), generator=rng).to(device)
    images: Tensor = generator.train()(latents, labels)
    return images
