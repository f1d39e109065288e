"""Estimate the time and memory of a run from short trials on this machine."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfkd.composition import ImagePool
from dfkd.memory.pool import MAX_POOL_BYTES
from dfkd.models.generators import Generator
from dfkd.models.precision import fast_layout
from dfkd.recipe import Recipe
from dfkd.training.budget import (
    Plan,
    for_student_steps,
    passes_per_round,
    student_images_per_round,
)
from dfkd.training.loop import build_generator
from pipeline.config.chosen_recipes import (
    ADJUSTING_PASSES,
    adjusts,
    calibration_passes,
    distilling_recipe,
    fine_tuning_recipe,
    fresh_generator_recipe,
    needs_fresh_generator,
    zeroq_recipe,
)
from pipeline.config.gate_plan import gate_plan
from pipeline.config.schema import RunConfig
from pipeline.dry_run.pass_times import NetworkTimes, PassTimes, time_passes, trial_images
from pipeline.quantization.fake_quantizers import CALIBRATION_BATCH
from pipeline.teachers.networks import image_spec

FAKE_QUANTIZED = 2
"""Time and memory of a fake-quantized network, as a multiple of those of the float network."""


@dataclass(frozen=True)
class Stage:
    """An estimate for one stage of a run.

    Attributes:
        name: Name of the stage.
        seconds: Its time.
        bytes: Memory that it needs in addition to the networks.
    """

    name: str
    seconds: float
    bytes: int


class TrainingCosts:
    """Estimates for the training stages.

    Args:
        config: The run file.
        teacher: Time and memory of the teacher.
        student: Time and memory of the float student.
        device: The device that the networks are on.
        placing_s: Seconds for folding batch norms and placing fake-quantizers once.
        precision: Data type of the teacher and the generators in a training.
    """

    def __init__(
        self,
        config: RunConfig,
        teacher: NetworkTimes,
        student: NetworkTimes,
        device: torch.device,
        placing_s: float = 0.0,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.config, self.device, self.precision = config, device, precision
        self.placing_s = placing_s
        self.teacher, self.student = teacher, student

    def quantized(self, batch: int) -> PassTimes:
        """Return time and memory of the fake-quantized student."""
        plain, factor = self.student.plain(batch), FAKE_QUANTIZED
        return PassTimes(
            factor * plain.forward, factor * plain.backward, factor * plain.saved_bytes
        )

    def stages(self) -> list[Stage]:
        """Return the training stages of the run."""
        config, found = self.config, []
        if config.student != "same":
            recipe = distilling_recipe(config)
            steps = config.distill.budget.student_steps(recipe.schedule.batch)
            found.append(self._stage("distill", recipe, for_student_steps(recipe, steps)))
        tuning = fine_tuning_recipe(config)
        if needs_fresh_generator(config):
            recipe = fresh_generator_recipe(config)
            plan = Plan(recipe.schedule.warmup_rounds, 0)
            found.append(self._stage("fresh_generator", recipe, plan))
        found.append(self._quantize(tuning))
        gate = config.gate
        if config.quantize.exported:
            held_out = gate_plan(config)
            plan = Plan(held_out.rounds * gate.generators, 0)
            probe = self._stage("probe", held_out.recipe, plan)
            labelling = self.teacher.plain(held_out.recipe.schedule.batch).forward
            drawn = gate.images * (self._generator(held_out.recipe).forward + labelling)
            found.append(Stage("probe", probe.seconds + drawn, probe.bytes))
        return found

    def _quantize(self, recipe: Recipe) -> Stage:
        section = self.config.quantize
        one = self.student.plain(CALIBRATION_BATCH).forward
        seconds = calibration_passes(self.config) * one
        seconds += self.placing_s * (ADJUSTING_PASSES if adjusts(self.config) else 1)
        if section.draws:
            seconds += section.calibration_images * self._generator(recipe).forward
        needed = 0
        if section.method == "batch-norm-images":
            zeroq = zeroq_recipe(self.config)
            made = self._stage("", zeroq, Plan(zeroq.schedule.warmup_rounds, 0))
            seconds, needed = seconds + made.seconds, made.bytes
        if section.tunes:
            steps = section.budget.student_steps(recipe.schedule.batch)
            rounds = for_student_steps(recipe, steps).rounds
            tuned = self._stage("", recipe, Plan(0, rounds), learner=self.quantized)
            seconds, needed = seconds + tuned.seconds, max(needed, tuned.bytes)
        return Stage("quantize", seconds, needed)

    def _stage(
        self,
        name: str,
        recipe: Recipe,
        plan: Plan,
        learner: Callable[[int], PassTimes] | None = None,
    ) -> Stage:
        schedule = recipe.schedule
        batch = schedule.batch * recipe.views
        teacher, generator = self.teacher.training(batch), self._generator(recipe)
        student = PassTimes(0.0, 0.0, 0)
        if plan.rounds:
            steps = schedule.generator_steps + schedule.student_steps
            mean_batch = student_images_per_round(recipe) // max(1, steps)
            student = (learner or self.student.training)(mean_batch)
        made = batch * recipe.synthesizer.steps
        making = made * (teacher.backward + generator.backward)
        warm = making + (passes_per_round(recipe, warm=True) - 3 * made) * teacher.forward
        labelled = passes_per_round(recipe, warm=False) - 3 * schedule.generator_steps * made
        learning = (
            schedule.generator_steps * making
            + labelled * teacher.forward
            + schedule.fresh_batches * schedule.batch * generator.forward
            + student_images_per_round(recipe) * student.backward
        )
        seconds = plan.warmup_rounds * warm + plan.rounds * learning
        return Stage(name, seconds, self._bytes(recipe, generator, student, plan))

    def _bytes(self, recipe: Recipe, generator: PassTimes, student: PassTimes, plan: Plan) -> int:
        """Return the memory for the larger phase of a round, and for the image pool."""
        batch = recipe.schedule.batch * recipe.views
        saved = self.teacher.training(batch).saved_bytes + generator.saved_bytes
        if plan.rounds == 0:
            return batch * saved
        making = batch * (saved + student.saved_bytes)
        learning = (batch + recipe.replayed) * student.saved_bytes
        image = 2 * math.prod(self.config.input.shape)
        pool = 0
        if isinstance(recipe.memory, ImagePool):
            batches = recipe.schedule.stored_batches
            stored = min(recipe.memory.capacity, plan.rounds * batches * recipe.schedule.batch)
            pool = min(MAX_POOL_BYTES, stored * image)
        return max(making, learning) + pool

    def _generator(self, recipe: Recipe) -> PassTimes:
        """Return time and memory of a recipe's generator; zero if the recipe optimises pixels."""
        spec, classes = image_spec(self.config.input), self.config.teacher.classes
        generator = build_generator(recipe, spec, classes)
        if not isinstance(generator, Generator):
            return PassTimes(0.0, 0.0, 0)
        count = min(len(trial_images(self.config)), recipe.schedule.batch)
        latents = torch.randn(count, generator.latent, device=self.device)
        labels = torch.zeros(count, dtype=torch.long, device=self.device)
        given = labels if generator.conditional else None
        drawing = _Drawing(generator, given).to(self.device)
        layout = fast_layout(drawing, self.precision)
        drawing.to(memory_format=layout)  # type: ignore[call-overload]
        return time_passes(drawing, latents, self.precision, learns=True)


class _Drawing(nn.Module):
    """A generator as a function of its latents."""

    def __init__(self, generator: Generator, labels: Tensor | None) -> None:
        super().__init__()
        self.generator, self.labels = generator, labels

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.generator(latents, self.labels)
        return images
