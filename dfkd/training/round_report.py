"""What a round tells whoever watches."""

from dataclasses import dataclass, field
from functools import cached_property

import torch

from dfkd.memory.labelled_batch import Lesson
from dfkd.training.generator_phase import Synthesised
from dfkd.training.health import Vitals, pairwise_spread
from dfkd.training.student_phase import Learnt

SHARES = 8
"""Measurements a run of the terms' shares of the gradient, evenly over its rounds. Each costs a
backward pass through the teacher for each term; they are not counted as teacher passes."""


@dataclass(frozen=True)
class Round:
    """What happened in one round.

    Attributes:
        phase: "warm-up" (the generator alone) or "adversarial".
        number: 1 for the first round of the phase.
        total: Rounds in the phase.
        losses: Last value of each term (raw) and of the student's loss ("student").
        confidence: Mean of the teacher's largest probability on the round's last images.
        histogram: The teacher's answers on these images, counted per class.
        spread: Root mean square distance between pairs of them, per pixel; None without images.
        gradients: Norm of the last gradient, by "generator" and "student".
        shares: Each term's share of the gradient that reaches the images; empty in most rounds.
        agreement: With the teacher on the frozen probe; None in most rounds.
        event: A roll-back, in words.
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
class Happened:
    """A round's two halves, as far as they came.

    Attributes:
        made: The generator's; None when it made nothing.
        learnt: The student's; None when it learnt nothing.
        classes: Number of classes.
        agreement: As in `Round`.
        event: As in `Round`.
    """

    made: Synthesised | None
    learnt: Learnt | None
    classes: int
    agreement: float | None = None
    event: str | None = None

    @property
    def shown(self) -> Lesson | None:
        """The last images that passed the teacher."""
        last = self.learnt.lesson if self.learnt else None
        return last or (self.made.lesson if self.made else None)

    @cached_property
    def vitals(self) -> Vitals:
        """What health looks at; where there were no images, nothing to worry about."""
        losses, gradients = {}, {}
        if self.made:
            gradients["generator"] = self.made.gradient
        if self.learnt:
            losses["student"], gradients["student"] = self.learnt.loss, self.learnt.gradient
        if self.shown is None:
            return Vitals([0] * self.classes, None, losses, gradients)
        answers = self.shown.logits.argmax(1)
        histogram = torch.bincount(answers, minlength=self.classes).tolist()
        return Vitals(histogram, pairwise_spread(self.shown.images), losses, gradients)

    def report(self, warm: bool, number: int, total: int) -> Round:
        """The round for whoever watches."""
        vitals = self.vitals
        confidence = 0.0
        if self.shown is not None:
            confidence = self.shown.logits.softmax(1).amax(1).mean().item()
        return Round(
            phase="warm-up" if warm else "adversarial",
            number=number,
            total=total,
            losses={**(self.made.losses if self.made else {}), **vitals.losses},
            confidence=confidence,
            histogram=vitals.histogram,
            spread=vitals.spread,
            gradients=vitals.gradients,
            shares=self.made.shares if self.made else {},
            agreement=self.agreement,
            event=self.event,
        )
