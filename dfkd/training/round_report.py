"""The report of one round, for progress displays and logs."""

from dataclasses import dataclass, field
from functools import cached_property

import torch

from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.training.generator_phase import GeneratorResult
from dfkd.training.round_statistics import RoundStatistics, pairwise_spread
from dfkd.training.student_phase import StudentResult

SHARES = 8
"""How many times a run measures the terms' shares of the gradient, evenly over its rounds. Each
measurement takes a backward pass through the teacher for each term, which is not counted as a
teacher pass."""


@dataclass(frozen=True)
class Round:
    """The report of one round.

    Attributes:
        phase: "warm-up" (the generator alone) or "adversarial".
        number: Number of the round in its phase, from 1.
        total: Rounds in the phase.
        losses: Last value of each term, before wrapper and weight, and of the student's loss, under
            "student".
        confidence: Mean of the teacher's largest probability on the round's last images.
        histogram: Number of these images that the teacher predicts as each class.
        spread: Root mean square distance between pairs of these images, per pixel; None without
            images.
        gradients: Norm of the last gradient of "generator" and "student".
        shares: Each term's share of the gradient that reaches the images; empty if not measured.
        agreement: Agreement of student and teacher on the frozen probe; None if not measured.
        event: Description of a roll-back; None if there was none.
    """

    phase: str
    number: int
    total: int
    losses: dict[str, float]
    confidence: float
    histogram: list[int]
    spread: float | None
    gradients: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    agreement: float | None = None
    event: str | None = None


@dataclass(frozen=True)
class RoundResult:
    """The results of a round's two phases.

    Attributes:
        generator: Result of the generator's phase; None if no batch was made.
        student: Result of the student's phase; None if the student was not trained.
        classes: Number of classes.
        agreement: As in `Round`.
        event: As in `Round`.
    """

    generator: GeneratorResult | None
    student: StudentResult | None
    classes: int
    agreement: float | None = None
    event: str | None = None

    @property
    def last_batch(self) -> LabelledBatch | None:
        """The last images that were passed to the teacher."""
        last = self.student.batch if self.student else None
        return last or (self.generator.batch if self.generator else None)

    @cached_property
    def statistics(self) -> RoundStatistics:
        """The values that health checks use."""
        losses, gradients = {}, {}
        if self.generator:
            gradients["generator"] = self.generator.gradient
        if self.student:
            losses["student"], gradients["student"] = self.student.loss, self.student.gradient
        if self.last_batch is None:
            return RoundStatistics([0] * self.classes, None, losses, gradients)
        predictions = self.last_batch.logits.argmax(1)
        histogram = torch.bincount(predictions, minlength=self.classes).tolist()
        spread = pairwise_spread(self.last_batch.images)
        return RoundStatistics(histogram, spread, losses, gradients)

    def report(self, warm: bool, number: int, total: int) -> Round:
        """Return the report.

        Args:
            warm: Whether this was a warm-up round.
            number: Number of the round in its phase, from 1.
            total: Rounds in the phase.
        """
        statistics = self.statistics
        confidence = 0.0
        if self.last_batch is not None:
            confidence = self.last_batch.logits.softmax(1).amax(1).mean().item()
        return Round(
            phase="warm-up" if warm else "adversarial",
            number=number,
            total=total,
            losses={**(self.generator.losses if self.generator else {}), **statistics.losses},
            confidence=confidence,
            histogram=statistics.histogram,
            spread=statistics.spread,
            gradients=statistics.gradients,
            shares=self.generator.shares if self.generator else {},
            agreement=self.agreement,
            event=self.event,
        )
