"""Check that a student can be trained, quantized and exported, before anything is trained."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn

from base.errors import InputError
from base.suggest import did_you_mean
from dfkd.recipe import RecipeError
from dfkd.training.stage_check import check_stages
from dfkd.training.term_weighting import usable_terms
from pipeline.config.recipe_checks import running_recipes
from pipeline.config.schema import RunConfig
from pipeline.teachers.networks import build_section, image_spec, logits_of_blank_image
from pipeline.teachers.teacher_file import load_teacher_file
from pipeline.teachers.teacher_start import TeacherStart, start_student
from pipeline.teachers.weights_file import read_weights
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import LAYER_TYPES, FloatFunction
from pipeline.tracing.weight_baking import copy_with_plain_weights

MAX_FLOAT_SHARE = 0.1
"""Largest share of the multiply-adds that `float_layers: auto` leaves in float."""


def check_student(config: RunConfig, student: nn.Module) -> None:
    """Check that a student can be quantized after it is trained.

    Args:
        config: The run file.
        student: The student. It is not changed.

    Raises:
        InputError: If the student does not take the input images, returns logits of another shape,
            cannot be traced, has no layer to quantize, or lacks a layer that the run file names.
    """
    section = config.teacher if config.student == "same" else config.student
    label = f"student {section.label}"
    spec = image_spec(config.input)
    plain = copy_with_plain_weights(student)
    logits_of_blank_image(plain, spec, config.teacher.classes, label)
    device = next((tensor.device for tensor in student.state_dict().values()), None)
    example = spec.normalise(torch.zeros(2, *spec.shape, device=device))
    graph = FunctionGraph(fixed_form(plain, example), example)
    layers = [layer.name for layer in graph.layers]
    if not layers:
        raise InputError(
            f"{label}: has no convolution and no linear layer to quantize; "
            "choose another student.architecture"
        )
    _check_float_layers(config.quantize.float_layers, plain, graph, label)


def _check_float_layers(
    named: tuple[str, ...] | Literal["auto"], student: nn.Module, graph: FunctionGraph, label: str
) -> None:
    """Check that the named layers exist, and that layers that cannot be quantized may be in float.

    Raises:
        InputError: If there is no such layer, or if a layer must not stay in float.
    """
    rest = graph.float_functions
    if named == "auto":
        patterns: tuple[str, ...] = ("*",)
        share = sum(call.multiply_adds for call in rest) / max(1, graph.multiply_adds)
        if share > MAX_FLOAT_SHARE:
            raise InputError(
                f"{label}: {100 * share:.1f} % of the multiply-adds cannot be quantized "
                f"({_described(rest, graph)}), and quantize.float_layers: auto allows at most "
                f"{100 * MAX_FLOAT_SHARE:.0f} %; name these layers in quantize.float_layers instead"
            )
    else:
        patterns = named
        # Names of layers that are never called are valid too.
        known = [layer.name for layer in graph.layers] + [call.name for call in rest]
        known += [name for name, x in student.named_modules() if isinstance(x, LAYER_TYPES)]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in known):
                raise InputError(
                    f"quantize.float_layers: there is no layer {pattern!r}"
                    f"{did_you_mean(pattern, known)}"
                )
    unnamed = [x for x in rest if not any(fnmatchcase(x.name, pattern) for pattern in patterns)]
    if unnamed:
        raise InputError(
            f"{label}: cannot be quantized: {_described(unnamed, graph)}; add these names to "
            "quantize.float_layers, or set quantize.float_layers: auto"
        )


def _described(calls: list[FloatFunction], graph: FunctionGraph) -> str:
    """Return names, functions and shares of the multiply-adds."""
    total = max(1, graph.multiply_adds)
    return ", ".join(
        f"{call.name} ({call.function}, {100 * call.multiply_adds / total:.1f} % of the "
        "multiply-adds)"
        for call in calls
    )


def check_feature_shapes(config: RunConfig, teacher: nn.Module, student: nn.Module) -> None:
    """Check that feature maps have equal shapes wherever a recipe of the run compares them.

    Raises:
        InputError: If shapes differ. The message has the shapes of both networks.
    """
    for recipe, answering in running_recipes(config):
        network = teacher if answering == "original" else student
        try:
            check_stages(recipe, network, student, image_spec(config.input))
        except RecipeError as error:
            raise InputError(str(error)) from None


def check_batch_norms(config: RunConfig, teacher: nn.Module, student: nn.Module) -> None:
    """Check that the teacher has batch norms if a recipe of the run needs their statistics.

    Raises:
        InputError: If it has none.
    """
    for recipe, answering in running_recipes(config):
        try:
            usable_terms(recipe, teacher if answering == "original" else student)
        except RecipeError as error:
            raise InputError(f"{error}; choose another recipe, such as house") from None


@dataclass(frozen=True)
class Networks:
    """The networks of a run file.

    Attributes:
        teacher: The teacher, frozen and in eval mode.
        student: The student before training; the teacher itself with `student: same`.
        fingerprint: sha256 of the teacher.
        notes: What was found in the teacher's file and matters for the run, one line each.
        start: How much of the student comes from the teacher; None with random weights.
    """

    teacher: nn.Module
    student: nn.Module
    fingerprint: str
    notes: tuple[str, ...]
    start: TeacherStart | None


def check_networks(config: RunConfig, device: torch.device) -> Networks:
    """Load the teacher, build the student, and check both, as the steps of a run do.

    Args:
        config: The run file.
        device: The device of the teacher. It may differ from the run file's: a machine that only
            checks run files needs no GPU.

    Raises:
        InputError: If teacher or student does not fit the run file.
    """
    spec = image_spec(config.input)
    loaded = load_teacher_file(read_weights(config.teacher.weights), config.teacher, spec, device)
    teacher = student = loaded.network
    if config.student != "same":
        student = build_section(config.student, spec, config.teacher.classes)
    check_student(config, student)
    check_batch_norms(config, teacher, student)
    check_feature_shapes(config, teacher, student)
    start = start_student(config, student.to(device), teacher)
    return Networks(teacher, student.eval(), loaded.fingerprint, loaded.notes, start)
