"""The probe images of the verdict, drawn by generators that no student was trained with."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from base.errors import InputError
from base.notify import Advance
from dfkd.images import ImageSpec
from dfkd.models.generators import Generator
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer
from dfkd.training.budget import Plan
from dfkd.training.loop import Loop, build_generator
from pipeline.config.gate_plan import gate_plan
from pipeline.reporter import counting
from pipeline.step_types import StepContext
from pipeline.teachers.networks import image_spec
from pipeline.teachers.step_inputs import open_teacher
from pipeline.training.resumable_training import chosen_device, make_loop, train
from targets.bundle.golden import Golden
from targets.bundle.probe_quality import probe_quality

HELD_OUT_SEED = 1_000_003
"""Added to the run's seed, so that no held-out generator starts like a training generator."""


def draw_probes(context: StepContext) -> tuple[Golden, dict[str, Any]]:
    """Train the held-out generators and draw an equal share of the probes from each.

    Returns:
        The probes with the teacher's logits, and notes about the training of all generators and of
        each one.

    Raises:
        InputError: If the training of a generator diverges although its images look usable.
    """
    config, device = context.config, chosen_device(context.config)
    spec, gate, classes = image_spec(config.input), config.gate, config.teacher.classes
    plan = gate_plan(config)
    recipe, rounds = plan.recipe, plan.rounds
    teacher = open_teacher(context, device)
    pixels, asked = [], []
    source: list[int] = []
    given_up: list[str] = []
    notes: dict[str, Any] = {}
    for index in range(gate.generators):
        seed = config.seed + HELD_OUT_SEED + index
        torch.manual_seed(seed)
        generator = build_generator(recipe, spec, classes)
        assert isinstance(generator, Generator)
        notes["gate"] = {
            "rounds": rounds,
            "batch": recipe.schedule.batch,
            "drawn": list(generator.drawn),
        }
        loop = make_loop(
            recipe,
            config,
            teacher=teacher,
            generator=generator.to(device),
            student=None,
            plan=Plan(rounds, 0),
            seed=seed,
        )
        phase = f"probe generator {index + 1}"
        # The teacher may make every generator collapse. Then the verdict says why it is
        # inconclusive, which an error after hours of training would not.
        notes[phase] = train(loop, phase, context, may_diverge=True)
        if loop.health.given_up:
            given_up.append(f"{phase}: {loop.health.events[-1]}")
        share = (gate.images + index) // gate.generators
        with counting(context.reporter, f"probes {index + 1}", share) as advance:
            images, labels = _draw(loop, spec, share, len(source), advance)
        pixels.append(images)
        asked.append(labels)
        source += [index] * share
    golden = Golden(
        pixels=torch.cat(pixels).numpy(),
        mean=np.array(spec.mean, np.float32),
        std=np.array(spec.std, np.float32),
        value_range=np.array(spec.value_range, np.float32),
        teacher_logits=np.zeros((gate.images, classes), np.float32),
        generator=np.array(source),
        asked=torch.cat(asked).numpy(),
    )
    with counting(context.reporter, "probe labels", gate.images) as advance:
        _label(golden, teacher, recipe.schedule.batch, device, advance)
    if given_up and not probe_quality(golden, gate.agreement).faults:
        raise InputError(f"{given_up[0]}; choose another seed, or set gate.rounds to fewer rounds")
    return golden, notes


def _draw(
    loop: Loop, spec: ImageSpec, count: int, first: int, advance: Advance
) -> tuple[Tensor, Tensor]:
    """Draw images and their labels, the generator in eval mode: no image depends on another.

    If a batch is smaller than the number of classes, every class is asked for equally often, as far
    as the number of images permits, and in random order. Otherwise labels are random.

    Args:
        loop: The loop that trained the generator.
        spec: Specification of the images.
        count: Number of images.
        first: Number of images that earlier generators drew; their labels are continued.
        advance: Receives the number of images after each batch.

    Returns:
        Pixels (count, C, H, W) as uint8, and labels (count,).
    """
    synthesizer, rng, batch = loop.synthesizer, loop.rng, loop.recipe.schedule.batch
    assert isinstance(synthesizer, KeptGeneratorSynthesizer)
    labels = None
    if loop.classes > batch:
        order = torch.randperm(count, generator=rng)
        labels = (first + torch.arange(count))[order] % loop.classes
    pixels, asked = [], []
    for start in range(0, count, batch):
        given = None if labels is None else labels[start : start + batch]
        drawn = synthesizer.draw(min(batch, count - start), rng, given)
        assert drawn.labels is not None
        pixels.append(_to_pixels(drawn.images.cpu(), spec))
        asked.append(drawn.labels.cpu())
        advance(len(drawn.images))
    return torch.cat(pixels), torch.cat(asked)


def _to_pixels(images: Tensor, spec: ImageSpec) -> Tensor:
    """Return normalised images as uint8 pixels over the whole value range."""
    low, high = spec.value_range
    levels = 255 * (spec.denormalise(images) - low) / (high - low)
    return levels.round().clamp(0, 255).to(torch.uint8)


@torch.no_grad()
def _label(
    golden: Golden, teacher: nn.Module, batch: int, device: torch.device, advance: Advance
) -> None:
    """Write the teacher's logits into the probes."""
    for start in range(0, len(golden.pixels), batch):
        part = slice(start, start + batch)
        images = torch.from_numpy(golden.normalise(golden.pixels[part]))
        golden.teacher_logits[part] = teacher(images.to(device)).cpu().numpy()
        advance(len(images))
