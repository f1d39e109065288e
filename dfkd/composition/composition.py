"""The composition of a recipe: all parts that define a training run."""

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
    """The parts of a recipe.

    The parts are not validated; use `dfkd.recipe.Recipe` for a validated composition.

    Attributes:
        terms: The terms of the generator's loss.
        synthesizer: The source of new images.
        memory: The source of replayed images; None for no replay.
        selection: The images that generator and student are trained on. "all" keeps all images.
            "clean-mixture" fits a mixture of two components to the teacher's losses and keeps the
            images in the component with the smaller mean loss (TA-DFKD).
        objective: The student's loss.
        update: How one student step uses new and replayed images; None joins them into one batch.
        schedule: Numbers of steps and images.
        generator: Optimizer of the generator, or of the pixels.
        student: Optimizer of the student.
        average: Decay of the running average of the student's weights. The averaged student is the
            result of the run. If the decay is 0, the result is the student without averaging.
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
        """Number of replayed images in each student step; 0 without a memory."""
        return round(self.memory.share * self.schedule.batch) if self.memory else 0

    @property
    def views(self) -> int:
        """Number of views of each new image that teacher and student see at once."""
        return 2 if self.synthesizer.augment == "two-views" else 1
