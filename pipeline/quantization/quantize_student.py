"""Quantize a student with the method of the run file."""

import copy
import json
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from base.notify import Advance
from dfkd.composition import Adam
from dfkd.models.generators import Generator
from dfkd.recipe import Recipe
from dfkd.training.budget import for_student_steps
from dfkd.training.loop import build_generator
from pipeline.config.chosen_recipes import adjusts, calibration_passes, fine_tuning_recipe
from pipeline.config.schema import RunConfig
from pipeline.quantization.adjustments import Adjuster, adjustment_line
from pipeline.quantization.bias_snapping import snap_biases
from pipeline.quantization.calibration import (
    draw_comparison_images,
    draw_images,
    draw_noise,
    make_batch_norm_images,
)
from pipeline.quantization.fake_quantizers import describe, prepare
from pipeline.quantization.learned_ranges import logarithmic_ranges
from pipeline.quantization.scheme import Scheme
from pipeline.reporter import counting
from pipeline.roles import FRESH_GENERATOR, GENERATOR, QUANTIZED, QUANTIZERS
from pipeline.step_types import StepContext, StepResult
from pipeline.teachers.network_checks import check_student
from pipeline.teachers.networks import image_spec
from pipeline.teachers.step_inputs import cpu_state, open_student, open_teacher
from pipeline.tracing.fixed_form import FixedForm
from pipeline.training.resumable_training import chosen_device, make_loop, train


def quantize_student(context: StepContext) -> StepResult:
    """Place fake-quantizers in a student, calibrate them, and fine-tune it.

    Returns:
        The weights and the places of the fake-quantizers, with notes about the training.

    Raises:
        InputError: If the student cannot be quantized as the run file requests, or if the training
            diverges.
    """
    config, device, settings = context.config, chosen_device(context.config), context.settings
    section = config.quantize
    recipe = fine_tuning_recipe(config)
    teacher = open_teacher(context, device)
    student = open_student(context).to(device)
    check_student(config, student)
    torch.manual_seed(config.seed)
    notes: dict[str, Any] = {}
    generator = None
    if section.method == "noise":
        images = draw_noise(config)
    elif section.method == "batch-norm-images":
        images, notes["images"] = make_batch_norm_images(context, teacher)
    else:
        generator = _open_generator(context, recipe)
        with counting(context.reporter, "quantize: images", section.calibration_images) as advance:
            images = draw_images(generator, config, advance)
    scheme = make_scheme(config, half_range=settings["weight_range"] == "half")
    prepared = _prepared(context, student, scheme, images, generator, notes).to(device)
    tuning_teacher = teacher if section.teacher == "original" else _frozen_copy(student)
    # Fine-tuning needs the memory.
    images = images[:2].clone()
    del student
    if settings["tunes"]:
        notes["fine-tuning"] = _fine_tune(context, recipe, tuning_teacher, generator, prepared)
    if settings["exported"]:
        snap_biases(prepared.eval(), images[:2])
    weights, places = context.folder / "quantized.safetensors", context.folder / "quantized.json"
    save_file(cpu_state(prepared), weights)
    places.write_text(json.dumps(describe(prepared), sort_keys=True))
    notes["weight_range"] = "half" if scheme.half_range else "full"
    return StepResult({QUANTIZED: weights, QUANTIZERS: places}, notes)


def _prepared(
    context: StepContext,
    student: nn.Module,
    scheme: Scheme,
    images: Tensor,
    generator: Generator | None,
    notes: dict[str, Any],
) -> FixedForm:
    """Return the fake-quantized student, adjusted if the run file asks for it.

    Args:
        context: The context of the step.
        student: The float student.
        scheme: How to quantize it.
        images: The calibration images.
        generator: Draws the images on which adjustments are compared.
        notes: Receives what the adjustments changed.
    """
    config, reporter = context.config, context.reporter
    with counting(reporter, "quantize: calibration", calibration_passes(config)) as advance:
        if generator is None or not adjusts(config):
            return prepare(student, images, scheme, advance)
        adjuster = _adjuster(context, images, generator, advance)
        prepared, notes["adjustments"] = adjuster.prepare(student, scheme)
    reporter.say(f"quantize: {adjustment_line(notes['adjustments'])}")
    return prepared


def _adjuster(
    context: StepContext, images: Tensor, generator: Generator, advance: Advance
) -> Adjuster:
    config = context.config
    comparison = draw_comparison_images(generator, config)
    compares_maps = fine_tuning_recipe(config).objective.compares_maps
    keeps_maps = context.settings["tunes"] and compares_maps
    return Adjuster(images, comparison, keeps_maps=keeps_maps, advance=advance)


def make_scheme(config: RunConfig, *, half_range: bool) -> Scheme:
    """Return the quantization scheme of the run file."""
    section = config.quantize
    return Scheme(
        weight_bits=section.weight_bits,
        activation_bits=section.activation_bits,
        edge_bits=section.edge_bits,
        half_range=half_range and section.exported,
        float_layers=() if section.float_layers == "auto" else section.float_layers,
    )


def _frozen_copy(student: nn.Module) -> nn.Module:
    return copy.deepcopy(student).requires_grad_(False)


def _open_generator(context: StepContext, recipe: Recipe) -> Generator:
    """Load the generator that trained the student, or the newly trained one."""
    config = context.config
    generator = build_generator(recipe, image_spec(config.input), config.teacher.classes)
    assert isinstance(generator, Generator)
    role = GENERATOR if GENERATOR in context.inputs else FRESH_GENERATOR
    generator.load_state_dict(load_file(context.inputs[role]))
    return generator.to(chosen_device(config))


def _fine_tune(
    context: StepContext,
    recipe: Recipe,
    teacher: nn.Module,
    generator: Generator | None,
    prepared: nn.Module,
) -> dict[str, Any]:
    config = context.config
    plan = replace(for_student_steps(recipe, context.settings["student_steps"]), warmup_rounds=0)
    with logarithmic_ranges(prepared) as rates:
        loop = make_loop(
            recipe,
            config,
            teacher=teacher,
            generator=generator,
            student=prepared,
            plan=plan,
            seed=config.seed,
            quantized=True,
            # Only for Adam: an SGD step grows with the gradient, and the ranges would diverge.
            rates=rates if isinstance(recipe.student, Adam) else None,
        )
        return train(loop, "quantize", context)
