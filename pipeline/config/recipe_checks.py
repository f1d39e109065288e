"""Whether the recipes of a run file suit its teacher and student. Imports no torch."""

from typing import Literal

from base.errors import InputError
from dfkd.compatibility import pair_fault
from dfkd.recipe import Recipe
from pipeline.config.chosen_recipes import (
    chosen_recipe,
    distilling_recipe,
    fresh_generator_recipe,
    keeps_generator,
    needs_fresh_generator,
    tuning_recipe,
    zeroq_recipe,
)
from pipeline.config.schema import RunConfig

Answering = Literal["original", "student"]
"""The network that a student learns from: the original teacher, or the float student."""


def check_recipes(config: RunConfig) -> None:
    """Raise InputError if a recipe or an override of the run file cannot work.

    Raises:
        InputError: As `chosen_recipe`, if an override has no effect, or if a recipe does not suit
            teacher and student.
    """
    tuning = chosen_recipe(config.quantize.recipe, config.quantize.overrides)
    _require_effect(config)
    if config.quantize.draws and not keeps_generator(tuning):
        raise InputError(
            f"quantize.recipe: {tuning.name} keeps no generator, and the method "
            f"{config.quantize.method} needs one; choose another recipe, such as house-quantize"
        )
    student = config.teacher if config.student == "same" else config.student
    architectures = {
        "original": config.teacher.label,
        "student": student.label,
    }
    for recipe, answering in running_recipes(config):
        reason = pair_fault(recipe, architectures[answering], student.label)
        if reason:
            raise InputError(reason)


def running_recipes(config: RunConfig) -> list[tuple[Recipe, Answering]]:
    """Return the recipes that a run uses, each with the network that answers in it."""
    distilling, tuning = distilling_recipe(config), tuning_recipe(config)
    found: list[tuple[Recipe, Answering]] = []
    if config.student != "same":
        found.append((distilling, "original"))
    if config.quantize.method == "batch-norm-images":
        found.append((zeroq_recipe(config), "original"))
    if needs_fresh_generator(config):
        found.append((fresh_generator_recipe(config), "original"))
    if config.quantize.tunes:
        found.append((tuning, config.quantize.teacher))
    return found


def _require_effect(config: RunConfig) -> None:
    """Raise InputError if an override of the quantization changes nothing."""
    section = config.quantize
    if section.overrides and not section.tunes and not needs_fresh_generator(config):
        raise InputError(
            f"quantize.overrides: {min(section.overrides)} has no effect: method {section.method} "
            "only calibrates, and no generator is trained for it; remove it"
        )
    lost = sorted({"latent", "width"} & section.overrides.keys())
    if lost and section.continues and config.student != "same":
        raise InputError(
            f"quantize.overrides: {lost[0]} has no effect: quantizing continues with the "
            "generator of the distillation; remove it, or set quantize.method: fresh"
        )
