"""The common setting: sizes and learning rates that all published recipes get.

With them the table compares the methods, not how well each was tuned.

A recipe keeps the parts that define the method: the type of synthesizer, terms and weights,
wrappers, memory, selection, objective, update, and the ratio of generator steps to student steps.
It gets the house recipe's generator network, batch size, pool size, optimizers and learning rates,
and a fixed number of optimization steps per synthesized batch. Images are neither flipped nor
cropped. A method that learns from an image pool alone gets as many student steps as the house
recipe. These values were chosen by a search with the house recipe, not with the others.
"""

from dataclasses import replace

from dfkd.composition import (
    Adam,
    AnyMemory,
    AnySynthesizer,
    BatchBank,
    ConstantRate,
    CosineRate,
    FreshGenerator,
    GeneratorNetwork,
    ImagePool,
    KeptGenerator,
    MetaGenerator,
    NoisyLayer,
    PixelOptimization,
    SoftLabelPixels,
    VaeReplay,
)
from dfkd.recipe import Recipe
from dfkd.recipes.house import HOUSE
from dfkd.training.budget import for_teacher_passes, passes_per_round

BATCH = 128

GENERATOR = GeneratorNetwork(trunk="pixel-shuffle", head="clamp", latent=256, width=32)
"""The generator of every method; VAEs have the same latent size."""

GENERATOR_LR, STUDENT_LR = 3e-3, 4e-3
"""Learning rates of Adam."""

FINAL = 0.01
"""Each learning rate falls to this fraction of its initial value, along a cosine."""

POOL = 20_000
"""Largest number of images in a pool."""

STEPS: dict[type[AnySynthesizer], int] = {FreshGenerator: 40, MetaGenerator: 5, NoisyLayer: 10}
"""Optimization steps per synthesized batch, by the class of the synthesizer."""

PIXEL_STEPS = 50
"""Optimization steps per batch if the pixels themselves are optimized."""

PIXEL_LR = 0.1
"""Constant learning rate of Adam for pixels."""

OFFLINE_STEPS = 20
"""Student steps per round, for a method that fills its pool before the student starts."""

FROZEN_SHARE = 1 / 3
"""Share of the teacher passes for training a generator that is frozen before the student starts."""


def common(recipe: Recipe, passes: int) -> Recipe:
    """Return a published recipe at the common setting.

    Args:
        recipe: The recipe at its published defaults.
        passes: Number of teacher passes of the run.
    """
    on_pixels = isinstance(recipe.synthesizer, PixelOptimization | SoftLabelPixels)
    generator = Adam(GENERATOR_LR, policy=CosineRate(FINAL), clip=recipe.generator.clip)
    changed = replace(
        recipe,
        synthesizer=_change_synthesizer(recipe.synthesizer),
        memory=_change_memory(recipe),
        generator=Adam(PIXEL_LR, policy=ConstantRate()) if on_pixels else generator,
        student=Adam(STUDENT_LR, policy=CosineRate(FINAL), clip=recipe.student.clip),
        schedule=replace(recipe.schedule, batch=BATCH),
    )
    return _fit_schedule(changed, passes)


def _change_memory(recipe: Recipe) -> AnyMemory | None:
    memory = recipe.memory
    if isinstance(memory, ImagePool):
        share = memory.share if recipe.synthesizer.draws_on_demand else 1.0
        return replace(memory, capacity=min(memory.capacity, POOL), share=share)
    if isinstance(memory, BatchBank):
        return replace(memory, capacity=min(memory.capacity, POOL))
    if isinstance(memory, VaeReplay):
        return replace(memory, latent=GENERATOR.latent)
    return memory


def _change_synthesizer(synthesizer: AnySynthesizer) -> AnySynthesizer:
    # A mirrored digit is a wrong digit; "crop-flip" cannot crop without mirroring.
    augment = "none" if synthesizer.augment == "crop-flip" else synthesizer.augment
    if isinstance(synthesizer, KeptGenerator):
        return replace(synthesizer, network=GENERATOR, augment=augment)
    if isinstance(synthesizer, PixelOptimization | SoftLabelPixels):
        return replace(synthesizer, steps=PIXEL_STEPS, augment=augment)
    steps = STEPS[type(synthesizer)]
    return replace(synthesizer, network=GENERATOR, steps=steps, augment=augment)


def _fit_schedule(recipe: Recipe, passes: int) -> Recipe:
    """Return the recipe with the phases of its schedule fitted to this number of passes."""
    schedule = recipe.schedule
    house_steps = for_teacher_passes(HOUSE, passes).rounds * HOUSE.schedule.student_steps
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    on_demand = recipe.synthesizer.draws_on_demand
    if on_demand and schedule.generator_steps == 0:
        share = 1 / FROZEN_SHARE - 1
        schedule = replace(schedule, rounds=round(schedule.warmup_rounds * warm * share / main))
    elif schedule.generator_steps == 0:
        # Student rounds cost no passes, so their number is scaled like that of the warm-up.
        stretch = passes / (schedule.warmup_rounds * warm)
        rounds = round(house_steps / OFFLINE_STEPS / stretch)
        schedule = replace(schedule, student_steps=OFFLINE_STEPS, rounds=rounds)
    elif not on_demand:
        stretch = passes / (schedule.warmup_rounds * warm + schedule.rounds * main)
        steps = max(1, round(house_steps / (schedule.rounds * stretch)))
        schedule = replace(schedule, student_steps=steps)
    return replace(recipe, schedule=schedule)
