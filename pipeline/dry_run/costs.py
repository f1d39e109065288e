"""Estimate the time and memory of a run from short trials on this machine."""

import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfkd.composition import ImagePool
from dfkd.memory.pool import MAX_POOL_BYTES
from dfkd.models.generators import Generator
from dfkd.recipe import Recipe
from dfkd.training.budget import (
    Plan,
    for_student_steps,
    passes_per_round,
    student_images_per_round,
)
from dfkd.training.loop import build_generator
from pipeline.config.chosen_recipes import (
    calibration_passes,
    distilling_recipe,
    fine_tuning_recipe,
    fresh_generator_recipe,
    needs_fresh_generator,
    zeroq_recipe,
)
from pipeline.config.gate_plan import gate_plan
from pipeline.config.schema import RunConfig
from pipeline.teachers.networks import image_spec

TRIAL_IMAGES = 16
"""Number of images in a trial; fewer if they are large."""

TRIAL_VALUES = 16 * 3 * 64 * 64
"""Largest number of pixel values in a trial, which has at least two images."""


FAKE_QUANTIZED = 2
"""Time and memory of a fake-quantized network, as a multiple of those of the float network."""


@dataclass(frozen=True)
class PassTimes:
    """Time and memory of the passes for one image.

    Attributes:
        forward: Seconds of a forward pass.
        backward: Seconds of a forward and a backward pass together.
        saved_bytes: Memory of the tensors that are stored for the backward pass.
    """

    forward: float
    backward: float
    saved_bytes: int


def trial_images(config: RunConfig) -> Tensor:
    """Return normalised images of noise for trials."""
    spec = image_spec(config.input)
    pixels = spec.shape[0] * spec.shape[1] * spec.shape[2]
    count = max(2, min(TRIAL_IMAGES, TRIAL_VALUES // pixels))
    low, high = spec.value_range
    rng = torch.Generator().manual_seed(config.seed)
    return spec.normalise(low + (high - low) * torch.rand(count, *spec.shape, generator=rng))


def time_passes(network: nn.Module, images: Tensor) -> PassTimes:
    """Measure one forward and one backward pass of a network, after a warm-up pass."""
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    images = images.clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(images).sum().backward()
    with torch.no_grad():
        forward = _seconds(lambda: network(images))
    backward = _seconds(lambda: network(images).sum().backward())
    parameters = sum(p.numel() * p.element_size() for p in network.parameters())
    count = len(images)
    return PassTimes(
        forward / count, backward / count, max(0, sum(saved.values()) - parameters) // count
    )


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


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
    """

    def __init__(
        self,
        config: RunConfig,
        teacher: PassTimes,
        student: PassTimes,
        device: torch.device,
    ) -> None:
        self.config, self.device = config, device
        self.teacher, self.student = teacher, student
        factor = FAKE_QUANTIZED
        self.quantized = PassTimes(
            factor * student.forward, factor * student.backward, factor * student.saved_bytes
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
            drawn = gate.images * self.teacher.forward
            found.append(Stage("probe", probe.seconds + drawn, probe.bytes))
        return found

    def _quantize(self, recipe: Recipe) -> Stage:
        section = self.config.quantize
        seconds = calibration_passes(self.config) * self.student.forward
        needed = 0
        if section.method == "batch-norm-images":
            zeroq = zeroq_recipe(self.config)
            made = self._stage("", zeroq, Plan(zeroq.schedule.warmup_rounds, 0))
            seconds, needed = seconds + made.seconds, made.bytes
        if section.tunes:
            steps = section.budget.student_steps(recipe.schedule.batch)
            rounds = for_student_steps(recipe, steps).rounds
            tuned = self._stage("", recipe, Plan(0, rounds), student=self.quantized)
            seconds, needed = seconds + tuned.seconds, max(needed, tuned.bytes)
        return Stage("quantize", seconds, needed)

    def _stage(
        self, name: str, recipe: Recipe, plan: Plan, student: PassTimes | None = None
    ) -> Stage:
        student, schedule = student or self.student, recipe.schedule
        teacher, generator = self.teacher, self._generator(recipe)
        made = schedule.batch * recipe.views * recipe.synthesizer.steps
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
        saved = self.teacher.saved_bytes + generator.saved_bytes
        if plan.rounds == 0:
            return batch * saved
        making = batch * (saved + student.saved_bytes)
        learning = (batch + recipe.replayed) * student.saved_bytes
        image = 2 * math.prod(self.config.input.shape)
        pool = 0
        if isinstance(recipe.memory, ImagePool):
            batches = max(recipe.schedule.fresh_batches, recipe.schedule.generator_steps)
            stored = min(recipe.memory.capacity, plan.rounds * batches * recipe.schedule.batch)
            pool = min(MAX_POOL_BYTES, stored * image)
        return max(making, learning) + pool

    def _generator(self, recipe: Recipe) -> PassTimes:
        """Return time and memory of a recipe's generator; zero if the recipe optimises pixels."""
        spec, classes = image_spec(self.config.input), self.config.teacher.classes
        generator = build_generator(recipe, spec, classes)
        if not isinstance(generator, Generator):
            return PassTimes(0.0, 0.0, 0)
        count = len(trial_images(self.config))
        latents = torch.randn(count, generator.latent, device=self.device)
        labels = torch.zeros(count, dtype=torch.long, device=self.device)
        given = labels if generator.conditional else None

        return time_passes(_Drawing(generator, given).to(self.device), latents)


class _Drawing(nn.Module):
    """A generator as a function of its latents."""

    def __init__(self, generator: Generator, labels: Tensor | None) -> None:
        super().__init__()
        self.generator, self.labels = generator, labels

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.generator(latents, self.labels)
        return images


def resident_bytes() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
