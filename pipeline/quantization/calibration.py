"""Images from which the ranges of activations are first set."""

import torch
from torch import Tensor, nn

from dfkd.memory.pool import PoolMemory
from dfkd.models.generators import Generator
from dfkd.recipes import ZEROQ
from dfkd.training.budget import Plan
from pipeline.config.schema import RunConfig
from pipeline.step_types import StepContext
from pipeline.teachers.networks import image_spec
from pipeline.training.resumable_training import chosen_device, make_loop, train


@torch.no_grad()
def drawn(generator: Generator, config: RunConfig) -> Tensor:
    """One draw, the generator in train mode as the student will meet it."""
    rng = torch.Generator().manual_seed(config.seed + 1)
    count, device = config.quantize.calibration_images, next(generator.parameters()).device
    latents = torch.randn(count, generator.latent, generator=rng).to(device)
    labels = None
    if generator.conditional:
        labels = torch.randint(config.teacher.classes, (count,), generator=rng).to(device)
    images: Tensor = generator.train()(latents, labels)
    return images


def noise(config: RunConfig) -> Tensor:
    """Uniform over the range of raw values."""
    spec, rng = image_spec(config.input), torch.Generator().manual_seed(config.seed + 1)
    low, high = spec.value_range
    raw = torch.rand(config.quantize.calibration_images, *spec.shape, generator=rng)
    return spec.normalise(low + (high - low) * raw).to(chosen_device(config))


def batch_norm_images(context: StepContext, teacher: nn.Module) -> tuple[Tensor, dict[str, object]]:
    """One batch whose statistics are those the teacher remembers (ZeroQ), and what it cost."""
    loop = make_loop(
        ZEROQ,
        context.config,
        teacher=teacher,
        generator=None,
        student=None,
        plan=Plan(ZEROQ.schedule.warmup_rounds, 0),
        seed=context.config.seed,
    )
    notes = train(loop, "quantize: images", context)
    assert isinstance(loop.memory, PoolMemory)
    return loop.memory.images, notes
