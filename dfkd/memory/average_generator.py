"""The running average of the generator as a memory of what it drew (MAD, Do et al. 2022)."""

import copy
from typing import Any

import torch

from dfkd.memory.labelled_batch import Lesson
from dfkd.models.teacher import Teacher
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer


class AverageGeneratorMemory:
    """A slow twin of the generator; the student learns from both.

    Args:
        synthesizer: Whose generator is followed.
        teacher: Answers the twin's images.
        decay: Of the average, once a round: twin <- decay twin + (1 - decay) generator.
    """

    learns = True
    factor = 1.0

    def __init__(
        self, synthesizer: KeptGeneratorSynthesizer, teacher: Teacher, decay: float
    ) -> None:
        self.synthesizer, self.teacher, self.decay = synthesizer, teacher, decay
        self.twin = copy.deepcopy(synthesizer.generator)

    def remember(self, lesson: Lesson) -> None:
        """The twin remembers by its weights."""

    def attend(self, lesson: Lesson, step: int, rng: torch.Generator) -> None:
        """Nothing learns here."""

    @torch.no_grad()
    def close_round(self, last: Lesson | None) -> None:
        """Move the twin towards the generator."""
        own, theirs = self.twin.state_dict(), self.synthesizer.generator.state_dict()
        for name, value in own.items():
            if value.is_floating_point():
                value.lerp_(theirs[name], 1 - self.decay)

    @torch.no_grad()
    def recall(self, count: int, rng: torch.Generator) -> Lesson:
        """Draw `count` images from the twin."""
        latents, labels = self.synthesizer.choose(count, rng)
        images = self.twin.train()(latents, labels)
        self.teacher.counts.images += count
        return Lesson(images, self.teacher.answer(images).logits)

    def mark(self) -> None:
        """A roll-back restores the whole state."""

    def forget(self) -> None:
        """A roll-back restores the whole state."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, for a checkpoint."""
        return {"twin": self.twin.state_dict()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take up a state."""
        self.twin.load_state_dict(state["twin"])
