"""The schedule: steps in a round, images in a batch, and rounds in a run."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """The steps of one round, the batch size and the length of a run.

    A round consists of `generator_steps` generator steps, followed by `student_steps` student
    steps. A synthesizer that makes one batch at a time makes `generator_steps` batches instead.

    Attributes:
        batch: Images in a batch.
        generator_steps: Generator steps in a round; 0 trains the generator in the warm-up only.
        fresh_batches: New batches in a round. Each of the first student steps uses one of them; the
            other student steps use only replayed images.
        student_steps: Student steps in a round.
        procedural_batches: Batches of procedural images (`dfkd.procedural`) that are added to the
            image pool in each round.
        warmup_rounds: Additional rounds at the start, which train the generator without the
            student. Each has one generator step (or batch). Their number is scaled with the length
            of the run.
        rounds: The length of a run as published. The budget determines the actual length.
        fresh: Where the new batches come from. "new" draws new images; "mixed" also blends half of
            them in pairs; "same-latents" repeats the latents of the round's last generator step
            (ZSKT); "generator-batch" takes the images of that step (DAFL). With the last two, all
            student steps of the round use the same batch.
        frozen_norms: Whether the generator is in eval mode when it draws the student's images.
    """

    batch: int = 128
    generator_steps: int = 1
    fresh_batches: int = 1
    procedural_batches: int = 0
    student_steps: int = 1
    warmup_rounds: int = 0
    rounds: int = 400
    fresh: Literal["new", "mixed", "same-latents", "generator-batch"] = "new"
    frozen_norms: bool = False

    @property
    def shares_a_batch(self) -> bool:
        """Whether all student steps of a round use the same batch."""
        return self.fresh in ("same-latents", "generator-batch")

    @property
    def stored_batches(self) -> int:
        """Number of batches that a round adds to the image pool."""
        return max(self.fresh_batches, self.generator_steps) + self.procedural_batches
