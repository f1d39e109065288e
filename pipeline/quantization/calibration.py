"""Make the images from which the initial activation ranges are measured."""

import copy
import math

import torch
from torch import Tensor, nn

from base.notify import Advance, ignore
from dfkd.memory.pool import PoolMemory
from dfkd.models.generators import Generator
from dfkd.training.budget import Plan
from pipeline.config.chosen_recipes import zeroq_recipe
from pipeline.config.schema import RunConfig
from pipeline.step_types import StepContext
from pipeline.teachers.networks import image_spec
from pipeline.training.resumable_training import chosen_device, make_loop, train

MAX_DRAWN_VALUES = 2**23
"""Largest number of values in a batch of drawn images: 2,730 images of 3 x 32 x 32, or 55 of
3 x 224 x 224."""


CALIBRATION_SEED, COMPARISON_SEED = 1, 2
"""Added to the run's seed for the random numbers of the calibration images, and of the images on
which adjustments are compared."""

COMPARISON_IMAGES = 256
"""Number of images on which adjustments are compared; fewer if they exceed `MAX_DRAWN_VALUES`."""


def draw_images(generator: Generator, config: RunConfig, advance: Advance = ignore) -> Tensor:
    """Draw calibration images from a generator, in several batches if they are large.

    The generator is in train mode, as it is while the student is fine-tuned.

    Args:
        generator: A trained generator, conditional or not.
        config: The run file; `seed` and `quantize.calibration_images` are used.
        advance: Receives the number of images after each batch.

    Returns:
        (N, C, H, W) normalised images on the generator's device.
    """
    count = config.quantize.calibration_images
    return _draw(generator, config, count, CALIBRATION_SEED, advance)


def draw_comparison_images(generator: Generator, config: RunConfig) -> Tensor:
    """Draw one batch of images that were not used for calibration, to compare logits on.

    Latents and labels have another seed than those of `draw_images`. The generator is not changed,
    not even the statistics of its batch norms.

    Args:
        generator: As for `draw_images`.
        config: As for `draw_images`.

    Returns:
        (N, C, H, W) normalised images on the generator's device.
    """
    count = min(COMPARISON_IMAGES, _batch_size(config))
    return _draw(copy.deepcopy(generator), config, count, COMPARISON_SEED)


@torch.no_grad()
def _draw(
    generator: Generator, config: RunConfig, count: int, seed: int, advance: Advance = ignore
) -> Tensor:
    rng = torch.Generator().manual_seed(config.seed + seed)
    device, size = next(generator.parameters()).device, _batch_size(config)
    latents = torch.randn(count, generator.latent, generator=rng).to(device)
    labels = None
    if generator.conditional:
        labels = torch.randint(config.teacher.classes, (count,), generator=rng).to(device)
    groups = [None] * count if labels is None else list(labels.split(size))
    drawn = zip(latents.split(size), groups, strict=False)
    images = torch.empty(count, *config.input.shape, device=device)
    for place, (latent, label) in zip(images.split(size), drawn, strict=True):
        place.copy_(generator.train()(latent, label))
        advance(len(latent))
    return images


def draw_noise(config: RunConfig) -> Tensor:
    """Return (N, C, H, W) normalised images of noise, uniform over the range of raw values."""
    spec = image_spec(config.input)
    rng = torch.Generator().manual_seed(config.seed + CALIBRATION_SEED)
    low, high = spec.value_range
    images = torch.rand(config.quantize.calibration_images, *spec.shape, generator=rng)
    for part in images.split(_batch_size(config)):
        part.copy_(spec.normalise(low + (high - low) * part))
    return images.to(chosen_device(config))


def _batch_size(config: RunConfig) -> int:
    """Return the number of images that are made at a time."""
    return max(1, MAX_DRAWN_VALUES // math.prod(config.input.shape))


def make_batch_norm_images(
    context: StepContext, teacher: nn.Module
) -> tuple[Tensor, dict[str, object]]:
    """Optimise images until their statistics match those of the teacher's batch norms.

    This is the calibration of ZeroQ (Cai et al. 2020).

    Args:
        context: The context of the step that needs the images.
        teacher: A frozen network with batch norms.

    Returns:
        (N, C, H, W) normalised images, and notes about the training.
    """
    recipe = zeroq_recipe(context.config)
    loop = make_loop(
        recipe,
        context.config,
        teacher=teacher,
        generator=None,
        student=None,
        plan=Plan(recipe.schedule.warmup_rounds, 0),
        seed=context.config.seed,
    )
    notes = train(loop, "quantize: images", context)
    assert isinstance(loop.memory, PoolMemory)
    return loop.memory.images, notes
