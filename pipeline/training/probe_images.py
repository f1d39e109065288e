"""The probe images of the verdict, drawn by generators that no student was trained with."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dfkd.images import ImageSpec
from dfkd.recipes.held_out import HELD_OUT
from dfkd.synthesizers import Synthesizer
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer
from dfkd.training.budget import Plan
from dfkd.training.loop import build_generator
from pipeline.step_types import StepContext
from pipeline.teachers.networks import image_spec
from pipeline.teachers.step_inputs import open_teacher
from pipeline.training.resumable_training import chosen_device, make_loop, train
from targets.bundle.golden import Golden

BATCH = HELD_OUT.schedule.batch

HELD_OUT_SEED = 1_000_003
"""Added to the run's seed, so that no held-out generator starts like a training generator."""


def draw_probes(context: StepContext) -> tuple[Golden, dict[str, Any]]:
    """Train the held-out generators and draw an equal share of the probes from each.

    Returns:
        The probes with the teacher's logits, and notes about every generator's training.

    Raises:
        InputError: If the training of a generator diverges.
    """
    config, device = context.config, chosen_device(context.config)
    spec, gate = image_spec(config.input), config.gate
    teacher = open_teacher(context, device)
    pixels, asked, source = [], [], []
    notes = {}
    for index in range(gate.generators):
        seed = config.seed + HELD_OUT_SEED + index
        torch.manual_seed(seed)
        generator = build_generator(HELD_OUT, spec, config.teacher.classes)
        assert generator is not None
        loop = make_loop(
            HELD_OUT,
            config,
            teacher=teacher,
            generator=generator.to(device),
            student=None,
            plan=Plan(gate.rounds, 0),
            seed=seed,
        )
        phase = f"probe generator {index + 1}"
        notes[phase] = train(loop, phase, context)
        share = (gate.images + index) // gate.generators
        images, labels = _draw(loop.synthesizer, loop.rng, share)
        pixels.append(_to_pixels(images, spec))
        asked.append(labels)
        source += [index] * share
    golden = Golden(
        pixels=torch.cat(pixels).numpy(),
        mean=np.array(spec.mean, np.float32),
        std=np.array(spec.std, np.float32),
        value_range=np.array(spec.value_range, np.float32),
        teacher_logits=np.zeros((gate.images, config.teacher.classes), np.float32),
        generator=np.array(source),
        asked=torch.cat(asked).numpy(),
    )
    with torch.no_grad():
        batches = torch.from_numpy(golden.images).split(BATCH)
        answers = torch.cat([teacher(batch.to(device)).cpu() for batch in batches])
    golden.teacher_logits[:] = answers.numpy()
    return golden, notes


def _draw(synthesizer: Synthesizer, rng: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Draw images and their labels, the generator in eval mode: no image depends on another."""
    assert isinstance(synthesizer, KeptGeneratorSynthesizer)
    images, labels = [], []
    for start in range(0, count, BATCH):
        draft = synthesizer.draw(min(BATCH, count - start), rng)
        assert draft.labels is not None
        images.append(draft.images.cpu())
        labels.append(draft.labels.cpu())
    return torch.cat(images), torch.cat(labels)


def _to_pixels(images: Tensor, spec: ImageSpec) -> Tensor:
    """Return normalised images as uint8 pixels over the whole value range."""
    low, high = spec.value_range
    levels = 255 * (spec.denormalise(images) - low) / (high - low)
    return levels.round().clamp(0, 255).to(torch.uint8)
