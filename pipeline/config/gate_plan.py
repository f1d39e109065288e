"""The length of the held-out generators' training. Imports no torch.

If the run file does not set `gate.rounds`, the verdict costs at most as much as the rest of the
run. Both are counted in teacher passes from the run file alone, so every machine gets the same
number of rounds.
"""

from dfkd.recipe import Recipe
from dfkd.training.budget import (
    for_student_steps,
    passes_per_round,
    student_images_per_round,
)
from pipeline.config.chosen_recipes import (
    distilling_recipe,
    fine_tuning_recipe,
    fresh_generator_recipe,
    held_out_recipe,
    needs_fresh_generator,
    zeroq_recipe,
)
from pipeline.config.schema import RunConfig

MAX_ROUNDS = 400
"""Rounds if the rest of the run costs enough; with them the generators were tuned on MNIST."""

MIN_ROUNDS = 100
"""Fewest rounds, also if the rest of the run costs less."""

COMPILED = 2
"""Compiled models that answer every probe: float32 and int8."""


def gate_rounds(config: RunConfig) -> int:
    """Return for how many rounds each held-out generator is trained.

    It is `gate.rounds` if the run file sets it. Otherwise it is the largest number from
    `MIN_ROUNDS` to `MAX_ROUNDS` with which `gate_passes` is at most `rest_passes`, or `MIN_ROUNDS`.
    """
    if config.gate.rounds is not None:
        return config.gate.rounds
    one = gate_passes(config, 1) - gate_passes(config, 0)
    affordable = (rest_passes(config) - gate_passes(config, 0)) // one
    return max(MIN_ROUNDS, min(MAX_ROUNDS, affordable))


def gate_passes(config: RunConfig, rounds: int) -> int:
    """Return the teacher passes of training the held-out generators and answering the probes."""
    gate = config.gate
    training = gate.generators * rounds * passes_per_round(held_out_recipe(config), warm=True)
    return training + gate.images * (1 + COMPILED * _student_passes(config))


def rest_passes(config: RunConfig) -> int:
    """Return the teacher passes of distillation, generator training and quantization."""
    passes = 0
    if config.student != "same":
        recipe = distilling_recipe(config)
        passes += _loop_passes(recipe, config.distill.budget.student_steps(recipe.schedule.batch))
    if needs_fresh_generator(config):
        recipe = fresh_generator_recipe(config)
        passes += recipe.schedule.warmup_rounds * passes_per_round(recipe, warm=True)
    return passes + _quantization_passes(config)


def _quantization_passes(config: RunConfig) -> int:
    section, student = config.quantize, _student_passes(config)
    passes = section.calibration_images * student
    if section.method == "batch-norm-images":
        recipe = zeroq_recipe(config)
        passes += recipe.schedule.warmup_rounds * passes_per_round(recipe, warm=True)
    if section.tunes:
        recipe = fine_tuning_recipe(config)
        steps = section.budget.student_steps(recipe.schedule.batch)
        rounds = for_student_steps(recipe, steps).rounds
        teacher = 1 if section.teacher == "original" else student
        passes += rounds * teacher * passes_per_round(recipe, warm=False)
        passes += rounds * student * 3 * student_images_per_round(recipe)
    return passes


def _loop_passes(recipe: Recipe, steps: int) -> int:
    """Return the teacher passes of a loop with a number of student steps."""
    plan = for_student_steps(recipe, steps)
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    return plan.warmup_rounds * warm + plan.rounds * main


def _student_passes(config: RunConfig) -> int:
    """Return what a pass of the student counts: 1 if it is the teacher itself, else 0.

    The cost of another student is unknown before it is built. Leaving it out never makes the
    verdict longer.
    """
    return int(config.student == "same")
