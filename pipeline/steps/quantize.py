"""quantize: the same generator attacks the student's int8 form -> quantized.safetensors, .json."""

import json
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfkd.budget import Plan, for_student_steps
from dfkd.loop import build_generator
from dfkd.models.generators import Generator
from dfkd.recipe import Recipe
from pipeline.bias_snapping import snap_biases
from pipeline.config import RunConfig, StudentSection
from pipeline.fake_quantizers import describe, prepare
from pipeline.networks import build_network, image_spec
from pipeline.recipes import chosen_recipe
from pipeline.steps.teacher import open_teacher
from pipeline.training import chosen_device, cpu_state, make_loop, say_dropped_terms, train
from pipeline.weight_range import half_range
from pipeline.work import Made, Work


def run(work: Work) -> Made:
    """Place fake-quantizers, calibrate them on the generator's images, and fine-tune."""
    config, device = work.config, chosen_device(work.config)
    recipe = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    teacher = open_teacher(config, work, device)
    student = open_student(config, work).to(device)
    torch.manual_seed(config.seed)
    recipe, generator = _generator(work, recipe, device)
    steps = config.quantize.budget.student_steps(recipe.schedule.batch)
    players: dict[str, Any] = {"teacher": teacher, "generator": generator, "seed": config.seed}
    notes: dict[str, Any] = {}
    if "generator" not in work.inputs:
        plan = Plan(recipe.schedule.warmup_rounds, 0)
        warmup = make_loop(recipe, config, student=None, plan=plan, **players)
        say_dropped_terms(warmup, work.reporter)
        checkpoint = work.checkpoints / "warm-up.checkpoint"
        notes["warm-up"] = train(warmup, "quantize: generator", checkpoint, work.reporter)
    images = _calibration_images(generator, recipe, config, device)
    half = half_range(config)
    prepared = prepare(student, images, half).to(device)
    tuning = replace(recipe, schedule=replace(recipe.schedule, warmup_rounds=0))
    plan = for_student_steps(tuning, steps)
    loop = make_loop(tuning, config, student=prepared, plan=plan, **players)
    notes["fine-tuning"] = train(
        loop, "quantize", work.checkpoints / "quantize.checkpoint", work.reporter
    )
    snap_biases(prepared.eval(), images[:2])
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


def _generator(work: Work, recipe: Recipe, device: torch.device) -> tuple[Recipe, Generator]:
    """The generator that taught the student, in the architecture of its recipe; or a fresh one."""
    config = work.config
    taught = "generator" in work.inputs
    if taught:
        first = chosen_recipe(config.distill.recipe, config.distill.overrides)
        recipe = replace(recipe, synthesizer=first.synthesizer)
    generator = build_generator(recipe, image_spec(config.input), config.teacher.classes)
    assert isinstance(generator, Generator)
    if taught:
        generator.load_state_dict(load_file(work.inputs["generator"]))
    generator.to(device)
    return recipe, generator


@torch.no_grad()
def _calibration_images(
    generator: Generator, recipe: Recipe, config: RunConfig, device: torch.device
) -> Tensor:
    """One draw, the generator in train mode as the student will meet it."""
    rng = torch.Generator().manual_seed(config.seed + 1)
    count = config.quantize.calibration_images
    latents = torch.randn(count, generator.latent, generator=rng).to(device)
    labels = None
    if generator.conditional:
        labels = torch.randint(config.teacher.classes, (count,), generator=rng).to(device)
    images: Tensor = generator.train()(latents, labels)
    return images
