"""What a data-free method is made of: a composition that the one loop runs. Data only, no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from dfkd.composition import (
    Memory,
    Objective,
    Optimizer,
    Schedule,
    Synthesizer,
    Term,
    Update,
)


class RecipeError(ValueError):
    """A recipe, or an override of one, that makes no sense; says why."""


@dataclass(frozen=True)
class Recipe:
    """A method of data-free distillation (or, with a fake-quantized student, quantization).

    Attributes:
        name: What a run file calls it.
        citation: Where it comes from.
        terms: The generator's loss.
        synthesizer: Where images come from.
        memory: What is shown again.
        selection: "clean-mixture" keeps the images of the cleaner of two components of the
            teacher's loss (TA-DFKD), for generator and student alike.
        objective: The student's loss.
        update: How the student learns from new and replayed images.
        schedule: Counts.
        generator: How the generator (or the pixels) learns.
        student: How the student learns.
        average: Decay of the running average of the student's weights that the run delivers; 0
            delivers the student as it is at the end.
        reported: Published figures, each with where it is reported.
        notes: What is unverified, or ours.
    """

    name: str
    citation: str
    terms: tuple[Term, ...]
    synthesizer: Synthesizer = Synthesizer()
    memory: Memory = Memory()
    selection: Literal["all", "clean-mixture"] = "all"
    objective: Objective = Objective()
    update: Update = Update()
    schedule: Schedule = Schedule()
    generator: Optimizer = Optimizer(1e-3)
    student: Optimizer = Optimizer(2e-3)
    average: float = 0.0
    reported: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        from dfkd.compatibility import fault

        reason = fault(self)
        if reason:
            raise RecipeError(reason)

    def overridden(self, overrides: Mapping[str, float]) -> "Recipe":
        """This recipe with some numbers changed.

        Args:
            overrides: Values by a name out of `settings`.

        Raises:
            RecipeError: For an unknown name, one without effect, a value of the wrong kind, or a
                senseless result.
        """
        changes: dict[str, dict[str, float]] = {}
        weights: dict[str, float] = {}
        for name, value in overrides.items():
            if name in (term.name for term in self.terms):
                weights[name] = _number(name, value, whole=False)
            elif name in NUMBERS:
                part, attribute = NUMBERS[name]
                whole = isinstance(getattr(getattr(self, part), attribute), int)
                changes.setdefault(part, {})[attribute] = _number(name, value, whole)
            else:
                raise RecipeError(f"recipe {self.name} has no setting {name!r}")
        parts: dict[str, Any] = {
            part: replace(getattr(self, part), **values) for part, values in changes.items()
        }
        terms = tuple(replace(t, weight=weights.get(t.name, t.weight)) for t in self.terms)
        changed = replace(self, terms=terms, **parts)
        for name, reason in changed.idle.items():
            if name in overrides:
                raise RecipeError(f"{name} has no effect: {reason}")
        return changed

    @property
    def settings(self) -> dict[str, float]:
        """What `overridden` can change, each as it is: numbers of all parts, weights of terms."""
        idle = self.idle
        numbers = {
            name: getattr(getattr(self, part), attribute)
            for name, (part, attribute) in NUMBERS.items()
            if name not in idle
        }
        return {**numbers, **{term.name: term.weight for term in self.terms}}

    @property
    def idle(self) -> dict[str, str]:
        """The numbers that belong to parts it does not use, each with the reason."""
        reasons: dict[str, str] = {}
        if self.synthesizer.kind == "generator":
            reasons["inner_steps"] = (
                "a generator that is kept takes one step a batch; set generator_steps instead"
            )
        if self.synthesizer.kind in ("pixels", "impressions"):
            for name in ("latent", "width"):
                reasons[name] = "the images are optimised themselves, without a generator"
        if self.memory.kind not in ("pool", "bank"):
            reasons["memory"] = f"memory {self.memory.kind} holds no images"
        if self.memory.kind == "none":
            reasons["replay_share"] = "nothing is replayed"
        if self.objective.kind == "logit-l1":
            reasons["temperature"] = "the objective compares logits as they are"
        if self.update.kind != "meta":
            reasons["inner_lr"] = "there is no meta step"
        else:
            for name in ("attention", "stages"):
                reasons[name] = "update meta compares logits alone"
        refreshed = any(term.wrapper.kind == "exp-increment" for term in self.terms)
        if not (self.schedule.warmup_rounds or self.memory.kind == "bank" or refreshed):
            reasons["rounds"] = "nothing is stretched with the run, whose length is its budget's"
        return reasons


NUMBERS: dict[str, tuple[str, str]] = {
    **{f.name: ("schedule", f.name) for f in fields(Schedule) if isinstance(f.default, int)},
    "generator_lr": ("generator", "lr"),
    "student_lr": ("student", "lr"),
    "latent": ("synthesizer", "latent"),
    "width": ("synthesizer", "width"),
    "inner_steps": ("synthesizer", "steps"),
    "memory": ("memory", "capacity"),
    "replay_share": ("memory", "share"),
    "temperature": ("objective", "temperature"),
    "attention": ("objective", "attention"),
    "stages": ("objective", "stages"),
    "inner_lr": ("update", "inner_lr"),
}
"""The numbers of a recipe by the name an override uses: (part, attribute)."""
del NUMBERS["frozen_norms"]

MAY_BE_ZERO = ("memory", "warmup_rounds", "generator_steps", "fresh_batches")
"""Counts of which none is a sensible number."""


def _number(name: str, value: float, whole: bool) -> float:
    least = 1 if whole and name not in MAY_BE_ZERO else 0
    if not math.isfinite(value) or value < least or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise RecipeError(f"{name} must be {kind} of at least {least}, not {value}")
    return int(value) if whole else float(value)
