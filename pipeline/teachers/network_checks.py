"""Whether a student can go all the way, before anything is trained."""

import torch
from torch import nn

from base.errors import InputError
from base.suggest import did_you_mean
from dfkd.recipe import RecipeError
from dfkd.training.feature_shapes import check_stages
from pipeline.config.recipe_checks import running_recipes
from pipeline.config.schema import RunConfig
from pipeline.export.batch_norm_folding import folded
from pipeline.teachers.loading import StateDict, load_teacher, parse_weights
from pipeline.teachers.networks import answer_to_blank, build_network, image_spec
from pipeline.teachers.weight_layers import WEIGHT_LAYERS
from pipeline.teachers.weights_file import read_weights


def check_student(config: RunConfig, student: nn.Module) -> None:
    """Refuse a student that could be taught and then not be quantized.

    Raises:
        InputError: When it does not take the input, answers in another shape, cannot be traced, or
            a layer that the run file names is none of its.
    """
    section = config.teacher if config.student == "same" else config.student
    whose = f"student {section.architecture}"
    traced = folded(student)
    answer_to_blank(traced, image_spec(config.input), config.teacher.classes, whose)
    known = [name for name, module in traced.named_modules() if isinstance(module, WEIGHT_LAYERS)]
    if not known:
        raise InputError(f"{whose} has no convolution and no linear layer to quantize")
    for name in config.quantize.float_layers:
        if name not in known:
            raise InputError(
                f"quantize.float_layers: there is no layer {name!r}{did_you_mean(name, known)}"
            )


def check_stages_of(config: RunConfig, teacher: nn.Module, student: nn.Module) -> None:
    """Refuse a pair whose stages differ where a recipe of the run compares them.

    Raises:
        InputError: Names what each gives.
    """
    for recipe, answering in running_recipes(config):
        network = teacher if answering == "original" else student
        try:
            check_stages(recipe, network, student, image_spec(config.input))
        except RecipeError as error:
            raise InputError(str(error)) from None


def check_networks(config: RunConfig, device: torch.device) -> StateDict:
    """Load the teacher and build the student, as the steps will.

    Args:
        config: The run file.
        device: Where; who looks at run files for others may lack the one that they name.

    Returns:
        The teacher's weights.

    Raises:
        InputError: When one of them does not suit the run file.
    """
    spec, url = image_spec(config.input), config.teacher.weights
    state = parse_weights(read_weights(url), url)
    teacher = student = load_teacher(config.teacher, spec, state, device)
    if config.student != "same":
        section = config.student
        student = build_network(section.architecture, section.width, spec, config.teacher.classes)
    check_student(config, student)
    check_stages_of(config, teacher, student)
    return state
