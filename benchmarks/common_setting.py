"""One setting for every published recipe, so that a table compares methods and not their tuning.

A recipe keeps what makes it the method it is: synthesizer kind, terms and weights, wrappers,
memory, selection, objective, update, and how many steps of whom follow how many of whom. Replaced
are sizes, optimisers and learning rates, by those of the house recipe.
"""

from dataclasses import replace

from dfkd.budget import passes_per_round
from dfkd.composition import Synthesizer
from dfkd.recipe import Recipe
from dfkd.recipes import HOUSE

STEPS = {"fresh-generator": 40, "meta-generator": 5, "noisy-layer": 10}
"""Optimisation steps a synthesised batch, by the synthesizer's kind."""

PIXEL_STEPS = 50
"""The same for pixels, at this learning rate of Adam's:"""

PIXEL_LR = 0.1

STUDENT_STEPS = 8_000
"""In the whole run, of a method that learns from a pool alone: as many as the house recipe's."""

OFFLINE_STEPS = 20
"""In a round of a method whose pool is full before the student begins."""

FROZEN_SHARE = 1 / 3
"""Of the passes, for a generator that is frozen before the student begins."""


def common(recipe: Recipe, passes: int) -> Recipe:
    """A published recipe at the common setting, for a run of so many teacher passes."""
    batch = HOUSE.schedule.batch
    memory = replace(
        recipe.memory,
        capacity=min(recipe.memory.capacity, HOUSE.memory.capacity),
        share=min(recipe.memory.share, 1.0),
        latent=HOUSE.synthesizer.latent,
    )
    on_pixels = recipe.synthesizer.kind in ("pixels", "impressions")
    changed = replace(
        recipe,
        synthesizer=_synthesizer(recipe.synthesizer),
        memory=memory,
        generator=replace(
            recipe.generator,
            kind="adam",
            lr=PIXEL_LR if on_pixels else HOUSE.generator.lr,
            policy="constant" if on_pixels else HOUSE.generator.policy,
            final=HOUSE.generator.final,
        ),
        student=replace(HOUSE.student, clip=recipe.student.clip),
        schedule=replace(recipe.schedule, batch=batch),
    )
    return _paced(changed, passes)


def _synthesizer(synthesizer: Synthesizer) -> Synthesizer:
    on_pixels = synthesizer.kind in ("pixels", "impressions")
    steps = PIXEL_STEPS if on_pixels else STEPS.get(synthesizer.kind, 1)
    augment = "none" if synthesizer.augment == "crop-flip" else synthesizer.augment
    house = HOUSE.synthesizer
    return replace(
        synthesizer,
        network=house.network,
        head=house.head,
        latent=house.latent,
        width=house.width,
        norm_eps=house.norm_eps,
        spectral=house.spectral,
        steps=steps,
        # A flipped digit is another digit, or none.
        augment=augment,
    )


def _paced(recipe: Recipe, passes: int) -> Recipe:
    """The recipe with its phases fitted to a run of so many passes."""
    schedule = recipe.schedule
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    drawn_at_will = recipe.synthesizer.kind == "generator"
    if drawn_at_will and schedule.generator_steps == 0:
        share = 1 / FROZEN_SHARE - 1
        schedule = replace(schedule, rounds=round(schedule.warmup_rounds * warm * share / main))
    elif schedule.generator_steps == 0:
        # The student's rounds cost no pass: their number is the published one, stretched.
        stretch = passes / (schedule.warmup_rounds * warm)
        rounds = round(STUDENT_STEPS / OFFLINE_STEPS / stretch)
        schedule = replace(schedule, student_steps=OFFLINE_STEPS, rounds=rounds)
    elif not drawn_at_will:
        stretch = passes / (schedule.warmup_rounds * warm + schedule.rounds * main)
        steps = max(1, round(STUDENT_STEPS / (schedule.rounds * stretch)))
        schedule = replace(schedule, student_steps=steps)
    return replace(recipe, schedule=schedule)
