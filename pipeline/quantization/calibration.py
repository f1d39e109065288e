"""Images that set the initial ranges of activation quantizers."""

import torch
from torch import Tensor

from dfkd.models.generators import Generator
from pipeline.config.schema import RunConfig
from pipeline.teachers.networks import image_spec
from pipeline.training.resumable_training import chosen_device


@torch.no_grad()
def draw_images(generator: Generator, config: RunConfig) -> Tensor:
    """Draw one batch of calibration images from a generator.

    The generator is in train mode, as it is while the student is fine-tuned.

    Args:
        generator: A trained generator, conditional or not.
        config: The run file; `seed` and `quantize.calibration_images` are used.

    Returns:
        (N, C, H, W) normalised images on the generator's device.
    """
    rng = torch.Generator().manual_seed(config.seed + 1)
    count, device = config.quantize.calibration_images, next(generator.parameters()).device
    latents = torch.randn(count, generator.latent, generator=rng).to(device)
    labels = None
    if generator.conditional:
        labels = torch.randint(config.teacher.classes, (count,), generator=rng).to(device)
    images: Tensor = generator.train()(latents, labels)
    return images


def draw_noise(config: RunConfig) -> Tensor:
    """Return (N, C, H, W) normalised images of noise, uniform over the range of raw values."""
    spec, rng = image_spec(config.input), torch.Generator().manual_seed(config.seed + 1)
    low, high = spec.value_range
    raw = torch.rand(config.quantize.calibration_images, *spec.shape, generator=rng)
    return spec.normalise(low + (high - low) * raw).to(chosen_device(config))
