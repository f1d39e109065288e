"""The running average of the generator as a source of earlier images (MAD, Do et al. 2022)."""

import copy
from typing import Any

import torch

from dfkd.composition import AverageGenerator, Composition
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.memory.protocol import MemoryContext, MemoryDefaults
from dfkd.models.counted_teacher import Teacher
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer


def build(recipe: Composition, context: MemoryContext) -> "AverageGeneratorMemory":
    """Return the memory of a recipe."""
    assert isinstance(recipe.memory, AverageGenerator)
    assert isinstance(context.synthesizer, KeptGeneratorSynthesizer)
    return AverageGeneratorMemory(context.synthesizer, context.teacher, recipe.memory.decay)


class AverageGeneratorMemory(MemoryDefaults):
    """A second generator, whose weights are the running average of the generator's.

    Args:
        synthesizer: The synthesizer whose generator is averaged.
        teacher: The teacher, which computes the logits of the images.
        decay: Decay of the average. After each round,
            average = decay * average + (1 - decay) * generator.
    """

    learns = True

    def __init__(
        self, synthesizer: KeptGeneratorSynthesizer, teacher: Teacher, decay: float
    ) -> None:
        self.synthesizer, self.teacher, self.decay = synthesizer, teacher, decay
        self.average = copy.deepcopy(synthesizer.generator)

    @torch.no_grad()
    def end_round(self, last: LabelledBatch | None) -> None:
        """Update the averaged weights."""
        own, new = self.average.state_dict(), self.synthesizer.generator.state_dict()
        for name, value in own.items():
            if value.is_floating_point():
                value.lerp_(new[name], 1 - self.decay)

    @torch.no_grad()
    def sample(self, count: int, rng: torch.Generator) -> LabelledBatch:
        """Return `count` images drawn with the averaged weights."""
        latents, labels = self.synthesizer.draw_latents(count, rng)
        images = self.average.train()(latents, labels)
        self.teacher.counts.images += count
        return LabelledBatch(images, self.teacher.plain_pass(images).logits)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights for a checkpoint."""
        return {"twin": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore the averaged weights."""
        self.average.load_state_dict(state["twin"])
