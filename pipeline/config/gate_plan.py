"""Choose the rounds and the batch of the held-out generators' training. Imports no torch.

If the run file does not set `gate.rounds`, they are chosen so that the verdict costs at most as
much as the rest of the run. Both costs are computed from the run file alone, in teacher passes, so
every machine gets the same plan.
"""

from dataclasses import dataclass, replace

from dfkd.recipe import Recipe
from dfkd.recipes.held_out import HELD_OUT
from dfkd.training.budget import (
    for_student_steps,
    passes_per_round,
    student_images_per_round,
)
from pipeline.config.chosen_recipes import (
    calibration_passes,
    distilling_recipe,
    fine_tuning_recipe,
    fresh_generator_recipe,
    held_out_recipe,
    needs_fresh_generator,
    zeroq_recipe,
)
from pipeline.config.schema import RunConfig

USUAL_ROUNDS = 400
"""Rounds with the recipe's batch. The verdict was tuned on MNIST with this number."""

SMALL_BATCH = 8
"""Images in a round of a cheaper training. For the same number of images, many small batches train
better than few large ones."""

MAX_SMALL_ROUNDS = 1_600
"""Most rounds with the small batch. On MNIST the agreement is nearly that of the usual plan, at
half the cost."""

MIN_SMALL_ROUNDS = 40
"""Fewest rounds with the small batch, even if the rest of the run costs less."""

COMPILED = 2
"""Compiled models that answer every probe: float32 and int8."""

OTHER_STUDENT = 5
"""Number of passes of a student that count as one teacher pass, if the student is another network.

The cost of such a student is unknown before it is built. EfficientNet-B0 takes a fifth of
ResNet-50's time at 224 x 224, with the backward pass."""


@dataclass(frozen=True)
class GatePlan:
    """The training of each held-out generator.

    Attributes:
        rounds: Number of rounds.
        recipe: The recipe, with the batch and the size of the drawn images.
    """

    rounds: int
    recipe: Recipe


def gate_plan(config: RunConfig) -> GatePlan:
    """Return how each held-out generator is trained.

    `gate.rounds` is used if the run file sets it. Otherwise the plan is `USUAL_ROUNDS` with the
    recipe's batch, if the size of the images allows that batch and the plan costs at most as much
    as the rest of the run. If not, it is the small batch with the most rounds that cost at most as
    much as the rest, between `MIN_SMALL_ROUNDS` and `MAX_SMALL_ROUNDS`.
    """
    usual = held_out_recipe(config)
    if config.gate.rounds is not None:
        return GatePlan(config.gate.rounds, usual)
    rest, plan = rest_passes(config), GatePlan(USUAL_ROUNDS, usual)
    if usual.schedule.batch == HELD_OUT.schedule.batch and gate_passes(config, plan) <= rest:
        return plan
    batch = min(SMALL_BATCH, usual.schedule.batch)
    small = replace(usual, schedule=replace(usual.schedule, batch=batch))
    none, one = (gate_passes(config, GatePlan(rounds, small)) for rounds in (0, 1))
    affordable = (rest - none) // (one - none)
    return GatePlan(max(MIN_SMALL_ROUNDS, min(MAX_SMALL_ROUNDS, affordable)), small)


def gate_passes(config: RunConfig, plan: GatePlan) -> int:
    """Return the teacher passes of training the held-out generators and answering the probes."""
    gate = config.gate
    training = gate.generators * plan.rounds * passes_per_round(plan.recipe, warm=True)
    return training + gate.images + _by_student(config, COMPILED * gate.images)


def rest_passes(config: RunConfig) -> int:
    """Return the teacher passes of distillation, generator training and quantization."""
    passes = _quantization_passes(config)
    if config.student != "same":
        recipe = distilling_recipe(config)
        steps = config.distill.budget.student_steps(recipe.schedule.batch)
        plan = for_student_steps(recipe, steps)
        passes += plan.warmup_rounds * passes_per_round(recipe, warm=True)
        passes += plan.rounds * passes_per_round(recipe, warm=False)
        passes += _by_student(config, 3 * plan.rounds * student_images_per_round(recipe))
    if needs_fresh_generator(config):
        recipe = fresh_generator_recipe(config)
        passes += recipe.schedule.warmup_rounds * passes_per_round(recipe, warm=True)
    return passes


def _quantization_passes(config: RunConfig) -> int:
    """Return the teacher passes of optimizing images, calibration and fine-tuning."""
    section = config.quantize
    passes = _by_student(config, calibration_passes(config))
    if section.method == "batch-norm-images":
        recipe = zeroq_recipe(config)
        passes += recipe.schedule.warmup_rounds * passes_per_round(recipe, warm=True)
    if section.tunes:
        recipe = fine_tuning_recipe(config)
        steps = section.budget.student_steps(recipe.schedule.batch)
        rounds = for_student_steps(recipe, steps).rounds
        labelled = rounds * passes_per_round(recipe, warm=False)
        original = section.teacher == "original"
        passes += labelled if original else _by_student(config, labelled)
        passes += _by_student(config, 3 * rounds * student_images_per_round(recipe))
    return passes


def _by_student(config: RunConfig, passes: int) -> int:
    """Convert passes of the student into teacher passes."""
    return passes if config.student == "same" else passes // OTHER_STUDENT
