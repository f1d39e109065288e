"""One setting for every published recipe, so that a table compares methods and not their tuning.

A recipe keeps what makes it the method it is: synthesizer kind, terms and weights, wrappers,
memory, selection, objective, update, and how many steps of whom follow how many of whom. Replaced
are the generator's layout, head and sizes, batch, pool, optimisers, learning rates and the steps a
synthesised batch takes; images are neither flipped nor cropped; a method that learns from a pool
alone takes as many student steps, on as many images each, as the house recipe. These values are
those the house recipe was searched with; none was searched for another.
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
from dfkd.recipes import HOUSE
from dfkd.training.budget import for_teacher_passes, passes_per_round

BATCH = 128

GENERATOR = GeneratorNetwork(trunk="pixel-shuffle", head="clamp", latent=256, width=32)
"""Layout and sizes; the latent size is also that of a VAE."""

GENERATOR_LR, STUDENT_LR, FINAL = 3e-3, 4e-3, 0.01
"""Of Adam's, falling along a cosine to this fraction of themselves."""

POOL = 20_000
"""Images, at most."""

STEPS: dict[type[AnySynthesizer], int] = {FreshGenerator: 40, MetaGenerator: 5, NoisyLayer: 10}
"""Optimisation steps a synthesised batch, by the class of the synthesizer."""

PIXEL_STEPS = 50
"""The same for pixels, at this constant learning rate of Adam's:"""

PIXEL_LR = 0.1

OFFLINE_STEPS = 20
"""In a round of a method whose pool is full before the student begins."""

FROZEN_SHARE = 1 / 3
"""Of the passes, for a generator that is frozen before the student begins."""


def common(recipe: Recipe, passes: int) -> Recipe:
    """A published recipe at the common setting, for a run of so many teacher passes."""
    on_pixels = isinstance(recipe.synthesizer, PixelOptimization | SoftLabelPixels)
    generator = Adam(GENERATOR_LR, policy=CosineRate(FINAL), clip=recipe.generator.clip)
    changed = replace(
        recipe,
        synthesizer=_synthesizer(recipe.synthesizer),
        memory=_memory(recipe),
        generator=Adam(PIXEL_LR, policy=ConstantRate()) if on_pixels else generator,
        student=Adam(STUDENT_LR, policy=CosineRate(FINAL), clip=recipe.student.clip),
        schedule=replace(recipe.schedule, batch=BATCH),
    )
    return _paced(changed, passes)


def _memory(recipe: Recipe) -> AnyMemory | None:
    memory = recipe.memory
    if isinstance(memory, ImagePool):
        share = memory.share if recipe.synthesizer.draws_on_demand else 1.0
        return replace(memory, capacity=min(memory.capacity, POOL), share=share)
    if isinstance(memory, BatchBank):
        return replace(memory, capacity=min(memory.capacity, POOL))
    if isinstance(memory, VaeReplay):
        return replace(memory, latent=GENERATOR.latent)
    return memory


def _synthesizer(synthesizer: AnySynthesizer) -> AnySynthesizer:
    # A flipped digit is another digit, or none; the crop goes with it.
    augment = "none" if synthesizer.augment == "crop-flip" else synthesizer.augment
    if isinstance(synthesizer, KeptGenerator):
        return replace(synthesizer, network=GENERATOR, augment=augment)
    if isinstance(synthesizer, PixelOptimization | SoftLabelPixels):
        return replace(synthesizer, steps=PIXEL_STEPS, augment=augment)
    steps = STEPS[type(synthesizer)]
    return replace(synthesizer, network=GENERATOR, steps=steps, augment=augment)


def _paced(recipe: Recipe, passes: int) -> Recipe:
    """The recipe with its phases fitted to a run of so many passes."""
    schedule = recipe.schedule
    house_steps = for_teacher_passes(HOUSE, passes).rounds * HOUSE.schedule.student_steps
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    drawn_at_will = recipe.synthesizer.draws_on_demand
    if drawn_at_will and schedule.generator_steps == 0:
        share = 1 / FROZEN_SHARE - 1
        schedule = replace(schedule, rounds=round(schedule.warmup_rounds * warm * share / main))
    elif schedule.generator_steps == 0:
        # The student's rounds cost no pass: their number is the published one, stretched.
        stretch = passes / (schedule.warmup_rounds * warm)
        rounds = round(house_steps / OFFLINE_STEPS / stretch)
        schedule = replace(schedule, student_steps=OFFLINE_STEPS, rounds=rounds)
    elif not drawn_at_will:
        stretch = passes / (schedule.warmup_rounds * warm + schedule.rounds * main)
        steps = max(1, round(house_steps / (schedule.rounds * stretch)))
        schedule = replace(schedule, student_steps=steps)
    return replace(recipe, schedule=schedule)
