"""The interface between memories and the training loop."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from dfkd.images import ImageSpec
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.models.counted_teacher import Teacher
from dfkd.synthesizers.protocol import Synthesizer


@dataclass(frozen=True)
class MemoryContext:
    """What a memory needs in addition to the recipe.

    Attributes:
        synthesizer: The source of new images.
        teacher: The teacher, which computes the logits of replayed images.
        spec: Specification of the images.
        stretch: Length of the run divided by the published length.
        device: The device on which images are stored.
    """

    synthesizer: Synthesizer
    teacher: Teacher
    spec: ImageSpec
    stretch: float
    device: torch.device


class Memory(Protocol):
    """Stores or models earlier images.

    Attributes:
        learns: Whether it is trained, so that a roll-back must restore its state.
        factor: Factor of its learning rate; the training loop sets it.
    """

    learns: bool
    factor: float

    def store(self, batch: LabelledBatch) -> None:
        """Store a new batch."""

    def observe(self, batch: LabelledBatch, step: int, rng: torch.Generator) -> None:
        """Train on a new batch before student step `step` of the round uses it."""

    def end_round(self, last: LabelledBatch | None) -> None:
        """End a round.

        Args:
            last: The round's last new batch; None in a warm-up round or if there is no new batch.
        """

    def mark_healthy(self) -> None:
        """Record that the images stored so far are from a healthy run."""

    def drop_unmarked(self) -> None:
        """Drop the images stored since the last `mark_healthy`."""

    def sample(self, count: int, rng: torch.Generator) -> LabelledBatch | None:
        """Return about `count` images to replay; None if there are none yet."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore a state, with images on `device`."""


class MemoryDefaults:
    """The methods of `Memory` that do nothing unless a memory overrides them."""

    learns = False
    factor = 1.0

    def store(self, batch: LabelledBatch) -> None:
        """Store nothing."""

    def observe(self, batch: LabelledBatch, step: int, rng: torch.Generator) -> None:
        """Train nothing."""

    def end_round(self, last: LabelledBatch | None) -> None:
        """Do nothing at the end of a round."""

    def mark_healthy(self) -> None:
        """Do nothing, because a roll-back restores the whole state."""

    def drop_unmarked(self) -> None:
        """Do nothing, because a roll-back restores the whole state."""
