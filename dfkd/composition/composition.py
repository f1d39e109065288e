"""Everything that a recipe fixes about a training run."""

from dataclasses import dataclass
from typing import Literal

from dfkd.composition.generator_loss import Term
from dfkd.composition.optimizers import Adam, AnyOptimizer
from dfkd.composition.replay import AnyMemory
from dfkd.composition.schedule import Schedule
from dfkd.composition.student_loss import AnyObjective, AnyUpdate, SoftKl
from dfkd.composition.synthesis import AnySynthesizer, KeptGenerator


@dataclass(frozen=True, kw_only=True)
class Composition:
    """The parts of a recipe. Not validated; `dfkd.recipe.Recipe` is.

    Attributes:
        terms: The generator's loss.
        synthesizer: Where images come from.
        memory: What the student learns from again; None for no replay.
        selection: "clean-mixture" keeps the images in the cleaner of two mixture components of the
            teacher's loss, for both generator and student (TA-DFKD); "all" keeps all images.
        objective: The student's loss.
        update: How new and replayed images enter one student step; None takes both as one batch.
        schedule: Numbers of steps and images.
        generator: Optimizer of the generator, or of the pixels.
        student: Optimizer of the student.
        average: Decay of the running average of the student's weights, which is then the result of
            the run; 0 returns the student as it is at the end.
    """

    terms: tuple[Term, ...]
    synthesizer: AnySynthesizer = KeptGenerator()
    memory: AnyMemory | None = None
    selection: Literal["all", "clean-mixture"] = "all"
    objective: AnyObjective = SoftKl()
    update: AnyUpdate | None = None
    schedule: Schedule = Schedule()
    generator: AnyOptimizer = Adam(1e-3)
    student: AnyOptimizer = Adam(2e-3)
    average: float = 0.0

    @property
    def replayed(self) -> int:
        """Replayed images in each student step; 0 without a memory."""
        return round(self.memory.share * self.schedule.batch) if self.memory else 0
