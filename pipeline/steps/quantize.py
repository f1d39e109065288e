"""quantize: the same generator attacks the student's int8 form -> quantized.safetensors, .json."""

import copy
import json
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dfkd.compatibility import ADVERSARIES
from dfkd.models.generators import Generator
from dfkd.recipe import Recipe
from dfkd.training.budget import for_student_steps
from dfkd.training.loop import build_generator
from pipeline.config.chosen_recipes import tuning_recipe
from pipeline.config.schema import RunConfig, StudentSection
from pipeline.config.weight_range import uses_half_range
from pipeline.quantization.bias_snapping import snap_biases
from pipeline.quantization.calibration import draw_images, draw_noise
from pipeline.quantization.fake_quantizers import Scheme, describe, prepare
from pipeline.quantization.learned_ranges import logarithmic_ranges
from pipeline.steps.step_context import Made, Work
from pipeline.steps.teacher import open_teacher
from pipeline.teachers.network_checks import check_student
from pipeline.teachers.networks import build_network, image_spec
from pipeline.training.batch_norm_images import make_batch_norm_images
from pipeline.training.resumable_training import chosen_device, cpu_state, make_loop, train


def run(work: Work) -> Made:
    """Place fake-quantizers, calibrate them, and fine-tune, by the run's method."""
    config, device = work.config, chosen_device(work.config)
    section = config.quantize
    recipe = tuning_recipe(config)
    teacher = open_teacher(config, work, device)
    student = open_student(config, work).to(device)
    check_student(config, student)
    torch.manual_seed(config.seed)
    notes: dict[str, Any] = {}
    generator = None
    if section.method == "noise":
        images = draw_noise(config)
    elif section.method == "batch-norm-images":
        images, notes["images"] = make_batch_norm_images(work, teacher)
    else:
        generator = _generator(work, recipe)
        images = draw_images(generator, config)
    chosen = scheme(config)
    prepared = prepare(student, images, chosen).to(device)
    if section.tunes:
        answering = teacher if section.teacher == "original" else _frozen_copy(student)
        notes["fine-tuning"] = _fine_tune(work, recipe, answering, generator, prepared)
    if section.exported:
        snap_biases(prepared.eval(), images[:2])
    weights, places = work.folder / "quantized.safetensors", work.folder / "quantized.json"
    save_file(cpu_state(prepared), weights)
    places.write_text(json.dumps(describe(prepared), sort_keys=True))
    notes["weight_range"] = "half" if chosen.half_range else "full"
    return Made({"quantized": weights, "quantizers": places}, notes)


def scheme(config: RunConfig) -> Scheme:
    """How a run file has its student quantized."""
    section = config.quantize
    return Scheme(
        weight_bits=section.weight_bits,
        activation_bits=section.activation_bits,
        edge_bits=section.edge_bits,
        half_range=uses_half_range(config) and section.exported,
        float_layers=section.float_layers,
        kernels=section.kernels,
    )


def open_student(config: RunConfig, work: Work) -> nn.Module:
    """The float student that the run has so far: the distilled one, or the teacher itself."""
    section = config.teacher if config.student == "same" else config.student
    assert isinstance(section, StudentSection) or section is config.teacher
    spec, classes = image_spec(config.input), config.teacher.classes
    student = build_network(section.architecture, section.width, spec, classes)
    student.load_state_dict(load_file(work.inputs["student"]))
    return student.eval()


def _frozen_copy(student: nn.Module) -> nn.Module:
    return copy.deepcopy(student).requires_grad_(False)


def _generator(work: Work, recipe: Recipe) -> Generator:
    """The one that taught the student, or the fresh one."""
    config = work.config
    generator = build_generator(recipe, image_spec(config.input), config.teacher.classes)
    assert isinstance(generator, Generator)
    role = "generator" if "generator" in work.inputs else "fresh-generator"
    generator.load_state_dict(load_file(work.inputs[role]))
    return generator.to(chosen_device(config))


def _fine_tune(
    work: Work,
    recipe: Recipe,
    teacher: nn.Module,
    generator: Generator | None,
    prepared: nn.Module,
) -> dict[str, Any]:
    config = work.config
    if config.quantize.method == "frozen":
        recipe = _with_frozen_generator(recipe)
    steps = config.quantize.budget.student_steps(recipe.schedule.batch)
    plan = replace(for_student_steps(recipe, steps), warmup_rounds=0)
    with logarithmic_ranges(prepared) as rates:
        loop = make_loop(
            recipe,
            config,
            teacher=teacher,
            generator=generator,
            student=prepared,
            plan=plan,
            seed=config.seed,
            # Steps of SGD's are as long as the gradient: there such a rate would tear the ranges.
            rates=rates if recipe.student.kind == "adam" else None,
        )
        return train(loop, "quantize", work)


def _with_frozen_generator(recipe: Recipe) -> Recipe:
    """The recipe with a generator that has learnt all it will."""
    schedule = replace(
        recipe.schedule,
        generator_steps=0,
        fresh="new" if recipe.schedule.shares_a_batch else recipe.schedule.fresh,
        warmup_rounds=max(1, recipe.schedule.warmup_rounds),
    )
    terms = tuple(term for term in recipe.terms if term.name not in ADVERSARIES)
    return replace(recipe, terms=terms, schedule=schedule)
