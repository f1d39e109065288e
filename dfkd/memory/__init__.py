"""Replay: what keeps the student from forgetting what the generator no longer draws."""

from typing import Any, Protocol

import torch

from dfkd.composition import AverageGenerator, BatchBank, ImagePool, KeptGenerator, VaeReplay
from dfkd.images import ImageSpec
from dfkd.memory.average_generator import AverageGeneratorMemory
from dfkd.memory.bank import BankMemory
from dfkd.memory.labelled_batch import Lesson
from dfkd.memory.pool import PoolMemory
from dfkd.memory.vae_replay import VaeMemory
from dfkd.models.teacher import Teacher
from dfkd.models.vae import Vae
from dfkd.recipe import Recipe
from dfkd.synthesizers import Synthesizer
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer

__all__ = ["Memory", "make_memory"]


class Memory(Protocol):
    """What the loop tells a memory, and asks of it.

    Attributes:
        learns: Whether training changes it, so that a roll-back must restore it.
        factor: What its own learning rate is multiplied by; set by the loop.
    """

    learns: bool
    factor: float

    def remember(self, lesson: Lesson) -> None:
        """A batch was drawn or made."""

    def attend(self, lesson: Lesson, step: int, rng: torch.Generator) -> None:
        """The student is about to learn from this fresh batch in step `step` of the round."""

    def close_round(self, last: Lesson | None) -> None:
        """The round is over; `last` is its last fresh batch."""

    def mark(self) -> None:
        """What is remembered so far is sound."""

    def forget(self) -> None:
        """Drop what was remembered since the mark."""

    def recall(self, count: int, rng: torch.Generator) -> Lesson | None:
        """Images to learn from again; None when there are none yet."""

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take up a state."""


def make_memory(
    recipe: Recipe,
    *,
    synthesizer: Synthesizer,
    teacher: Teacher,
    spec: ImageSpec,
    stretch: float,
    device: torch.device,
) -> Memory | None:
    """The memory of a recipe; None for none.

    Args:
        recipe: The composition.
        synthesizer: Whose generator an average follows.
        teacher: Answers replayed images.
        spec: The images.
        stretch: Length of the run over the published length.
        device: Where images are kept.
    """
    memory, size = recipe.memory, recipe.replayed
    if isinstance(memory, ImagePool):
        return PoolMemory(memory.capacity)
    if isinstance(memory, BatchBank):
        return BankMemory(memory.capacity, size, max(1, round(memory.every * stretch)))
    if isinstance(memory, VaeReplay):
        assert isinstance(recipe.synthesizer, KeptGenerator)
        drawn = recipe.synthesizer.network
        vae = Vae(spec, memory.latent, drawn.width, drawn.trunk).to(device)
        return VaeMemory(vae, teacher, size, memory.lr, memory.steps)
    if isinstance(memory, AverageGenerator):
        assert isinstance(synthesizer, KeptGeneratorSynthesizer)
        return AverageGeneratorMemory(synthesizer, teacher, memory.decay)
    return None
