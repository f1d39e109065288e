"""How many steps of generator and student make a round, and on how many images."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """The steps of one round and the length of a run.

    A round is `generator_steps` generator steps (or synthesized batches), then `student_steps`
    student steps.

    Attributes:
        batch: Images in a batch.
        generator_steps: Generator steps in a round; 0 trains the generator in the warm-up only.
        fresh_batches: New batches in a round. The student's first steps use them; its further
            steps use the memory alone.
        student_steps: Student steps in a round.
        warmup_rounds: Rounds before the first, in which the generator learns from the teacher
            alone, with one generator step (or batch) each; scaled with the length of the run.
        rounds: The published length of a run; a budget makes the actual run longer or shorter.
        fresh: Where the new batches come from. "new" draws new images; "mixed" also blends half of
            them in pairs; "same-latents" repeats the latents of the round's last generator step
            (ZSKT); "generator-batch" takes the images of that step (DAFL). With the last two, one
            batch serves every student step of the round.
        frozen_norms: The generator draws the student's images in eval mode.
    """

    batch: int = 128
    generator_steps: int = 1
    fresh_batches: int = 1
    student_steps: int = 1
    warmup_rounds: int = 0
    rounds: int = 400
    fresh: Literal["new", "mixed", "same-latents", "generator-batch"] = "new"
    frozen_norms: bool = False

    @property
    def shares_a_batch(self) -> bool:
        """Whether one batch serves every student step of a round."""
        return self.fresh in ("same-latents", "generator-batch")
