"""probe: generators that know the teacher alone draw the images of the verdict -> golden.npz."""

import numpy as np
import torch
from torch import Tensor

from dfkd.images import ImageSpec
from dfkd.loop import Loop, build_generator
from dfkd.recipe import Recipe
from dfkd.recipes import HELD_OUT
from pipeline.networks import image_spec
from pipeline.steps.teacher import open_teacher
from pipeline.training import chosen_device, make_loop, train
from pipeline.work import Made, Work
from targets.golden import Golden

HELD_OUT_SEED = 1_000_003
"""Added to the run's seed, so that no probe generator starts where a training generator does."""


def run(work: Work) -> Made:
    """Teach the held-out generators, draw an equal share from each, and ask the teacher."""
    config, device = work.config, chosen_device(work.config)
    spec, gate = image_spec(config.input), config.gate
    teacher = open_teacher(config, work, device)
    recipe = HELD_OUT.overridden({"warmup_rounds": gate.rounds})
    pixels, asked, source = [], [], []
    notes = {}
    for index in range(gate.generators):
        seed = config.seed + HELD_OUT_SEED + index
        torch.manual_seed(seed)
        generator = build_generator(recipe, spec, config.teacher.classes).to(device)
        loop = make_loop(
            recipe, config, teacher=teacher, generator=generator, student=None, steps=0, seed=seed
        )
        phase = f"probe generator {index + 1}"
        checkpoint = work.checkpoints / f"probe-{index}.checkpoint"
        notes[phase] = train(loop, phase, checkpoint, work.reporter)
        share = (gate.images + index) // gate.generators
        images, labels = _draw(loop, recipe, share)
        pixels.append(_as_pixels(images, spec))
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
        batches = torch.from_numpy(golden.images).split(recipe.schedule.batch)
        answers = torch.cat([teacher(batch.to(device)).cpu() for batch in batches])
    golden.teacher_logits[:] = answers.numpy()
    path = work.folder / "golden.npz"
    golden.save(path)
    return Made({"golden": path}, notes)


@torch.no_grad()
def _draw(loop: Loop, recipe: Recipe, count: int) -> tuple[Tensor, Tensor]:
    """One latent an image, the generator in eval mode, so that no image depends on another."""
    loop.generator.eval()
    images, labels = [], []
    while count > 0:
        part, asked = loop.draw(min(count, recipe.schedule.batch))
        assert asked is not None
        images.append(part.cpu())
        labels.append(asked.cpu())
        count -= len(part)
    return torch.cat(images), torch.cat(labels)


def _as_pixels(images: Tensor, spec: ImageSpec) -> Tensor:
    low, high = spec.value_range
    levels = 255 * (spec.denormalise(images) - low) / (high - low)
    return levels.round().clamp(0, 255).to(torch.uint8)
