"""Run one small round of every training of a run, so that a network that fails there is refused."""

import copy
from dataclasses import replace

import torch
from torch import nn

from base.errors import InputError, first_line
from dfkd.composition import KeptGenerator
from dfkd.recipe import Recipe, RecipeError
from dfkd.training.budget import Plan
from dfkd.training.loop import DivergedError, build_generator
from pipeline.config.chosen_recipes import (
    distilling_recipe,
    fine_tuning_recipe,
    fresh_generator_recipe,
    needs_fresh_generator,
    zeroq_recipe,
)
from pipeline.config.gate_plan import gate_plan
from pipeline.config.schema import RunConfig
from pipeline.teachers.network_checks import Networks
from pipeline.teachers.networks import image_spec
from pipeline.training.resumable_training import make_loop


def run_trial_rounds(
    config: RunConfig, networks: Networks, prepared: nn.Module, batch: int, device: torch.device
) -> None:
    """Run one warm-up round and one round of each training, with a small batch.

    Args:
        config: The run file.
        networks: Teacher and float student.
        prepared: The fake-quantized student. It is not changed.
        batch: Number of images in a batch.
        device: The device of the networks.

    Raises:
        InputError: If a training fails.
    """
    for name, recipe, student in _trainings(config, networks.student, prepared):
        trial = trial_recipe(recipe, batch)
        try:
            _one_round(
                config,
                trial,
                networks.teacher,
                _trainable_copy(student),
                device,
                quantized=student is prepared,
            )
        except InputError:
            raise
        except DivergedError:
            pass  # The first images of a generator can look unhealthy.
        except Exception as error:  # Networks raise many types of errors.
            raise InputError(
                f"{name}: a round of training by the recipe {recipe.name} fails: "
                f"{first_line(error)}; change the network's forward method (for instance, remove "
                "torch.utils.checkpoint), or choose another recipe"
            ) from error


def trial_recipe(recipe: Recipe, batch: int) -> Recipe:
    """Return a recipe with a small batch and, wherever it has more, one step for each batch.

    Args:
        recipe: The recipe.
        batch: Number of images in a batch; more if the recipe needs more, for instance to replay
            a share of them.
    """
    schedule = recipe.schedule
    synthesizer = recipe.synthesizer
    if not isinstance(synthesizer, KeptGenerator):
        synthesizer = replace(synthesizer, steps=1)
    while True:
        small = replace(
            schedule,
            batch=batch,
            student_steps=1,
            fresh_batches=min(1, schedule.fresh_batches),
            procedural_batches=0,
        )
        try:
            return replace(recipe, schedule=small, synthesizer=synthesizer)
        except RecipeError:
            if batch >= schedule.batch:
                raise
            batch = min(2 * batch, schedule.batch)


def _trainings(
    config: RunConfig, student: nn.Module, prepared: nn.Module
) -> list[tuple[str, Recipe, nn.Module | None]]:
    """Return the name, the recipe and the student of each training of a run."""
    section = config.quantize
    found: list[tuple[str, Recipe, nn.Module | None]] = []
    if config.student != "same":
        found.append(("distill", distilling_recipe(config), student))
    if needs_fresh_generator(config):
        found.append(("fresh generator", fresh_generator_recipe(config), None))
    if section.method == "batch-norm-images":
        found.append(("quantize", zeroq_recipe(config), None))
    if section.tunes:
        found.append(("quantize", fine_tuning_recipe(config), prepared))
    if section.exported:
        found.append(("probe", gate_plan(config).recipe, None))
    return found


def _trainable_copy(student: nn.Module | None) -> nn.Module | None:
    """Return a copy whose weights are trained. The student may be the frozen teacher."""
    if student is None:
        return None
    trained = copy.deepcopy(student)
    for parameter in trained.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return trained


def _one_round(
    config: RunConfig,
    recipe: Recipe,
    teacher: nn.Module,
    student: nn.Module | None,
    device: torch.device,
    *,
    quantized: bool,
) -> None:
    generator = build_generator(recipe, image_spec(config.input), config.teacher.classes)
    if generator is not None:
        generator.to(device)
    warm_up = student is None or recipe.schedule.warmup_rounds > 0
    make_loop(
        recipe,
        config,
        teacher=teacher,
        generator=generator,
        student=student,
        plan=Plan(int(warm_up), int(student is not None)),
        seed=config.seed,
        quantized=quantized,
    ).run()
