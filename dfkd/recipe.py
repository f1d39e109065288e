"""What a data-free method is made of: a composition that the one loop runs. Data only, no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


class RecipeError(ValueError):
    """A recipe, or an override of one, that makes no sense; says why."""


@dataclass(frozen=True)
class Term:
    """One term of the generator's loss.

    Attributes:
        name: A key of `dfkd.terms.TERMS`.
        weight: Its factor in the sum.
        where_possible: Left out, and said so, for a teacher that lacks what the term needs;
            otherwise such a teacher is refused.
    """

    name: str
    weight: float
    where_possible: bool = False


@dataclass(frozen=True)
class Schedule:
    """How often who learns from how much, and how fast.

    A round is `generator_steps` steps of the generator, then `student_steps` of the student.

    Attributes:
        batch: Images per batch.
        generator_steps: Generator steps in a round, and in a warm-up round.
        fresh_batches: Batches drawn anew in a round; the student's first steps learn from them,
            joined by as many remembered images, its further steps from remembered images alone.
        student_steps: Student steps in a round.
        warmup_rounds: Rounds before the first in which the generator learns from the teacher alone.
        generator_lr: Adam's learning rate for the generator.
        student_lr: Adam's learning rate for the student.
        final_lr: Both learning rates fall to this fraction of themselves, along a cosine.
    """

    batch: int = 128
    generator_steps: int = 1
    fresh_batches: int = 4
    student_steps: int = 20
    warmup_rounds: int = 0
    generator_lr: float = 1e-3
    student_lr: float = 2e-3
    final_lr: float = 0.01


@dataclass(frozen=True)
class Recipe:
    """A method of data-free distillation (or, with a fake-quantized student, quantization).

    Attributes:
        name: What a run file calls it.
        citation: Where it comes from.
        generator: A key of `dfkd.models.generators.GENERATORS`.
        latent: Size of the generator's latent vector.
        width: Channels of the generator's hidden layers.
        conditional: Whether the generator is told which class to draw.
        terms: The generator's loss.
        objective: The student's loss, a key of `dfkd.objectives.OBJECTIVES`.
        memory: How many earlier images are kept for replay; 0 keeps none.
        schedule: Counts and learning rates.
    """

    name: str
    citation: str
    terms: tuple[Term, ...]
    generator: str = "pixel-shuffle"
    latent: int = 64
    width: int = 32
    conditional: bool = False
    objective: str = "logit-l1"
    memory: int = 0
    schedule: Schedule = Schedule()

    def __post_init__(self) -> None:
        schedule = self.schedule
        if schedule.fresh_batches > schedule.student_steps:
            raise RecipeError(
                f"fresh_batches ({schedule.fresh_batches}) exceeds student_steps "
                f"({schedule.student_steps}): batches would be drawn that nobody learns from"
            )
        if self.memory == 0 and schedule.fresh_batches < schedule.student_steps:
            raise RecipeError(
                "without memory every student step needs a fresh batch: "
                "set memory, or fresh_batches = student_steps"
            )
        if 0 < self.memory < schedule.batch:
            raise RecipeError(f"memory ({self.memory}) is smaller than a batch ({schedule.batch})")

    def overridden(self, overrides: Mapping[str, float]) -> "Recipe":
        """This recipe with some numbers changed.

        Args:
            overrides: Values by the name of a `Schedule` field, of a term (its weight), or of
                `memory`, `latent` or `width`.

        Raises:
            RecipeError: For an unknown name, a value of the wrong kind, or a senseless result.
        """
        schedule: dict[str, float] = {}
        own: dict[str, int] = {}
        weights: dict[str, float] = {}
        for name, value in overrides.items():
            if name in SCHEDULE_FIELDS:
                schedule[name] = _number(name, value, isinstance(getattr(Schedule, name), int))
            elif name in ("memory", "latent", "width"):
                own[name] = int(_number(name, value, whole=True))
            elif name in (term.name for term in self.terms):
                weights[name] = _number(name, value, whole=False)
            else:
                raise RecipeError(f"recipe {self.name} has no setting {name!r}")
        terms = tuple(replace(t, weight=weights.get(t.name, t.weight)) for t in self.terms)
        return replace(
            self,
            terms=terms,
            schedule=replace(self.schedule, **schedule),  # type: ignore[arg-type]
            **own,  # type: ignore[arg-type]
        )

    @property
    def settings(self) -> tuple[str, ...]:
        """The names that `overridden` knows."""
        return (*SCHEDULE_FIELDS, "memory", "latent", "width", *(term.name for term in self.terms))


MAY_BE_ZERO = ("memory", "warmup_rounds")
"""Counts of which none is a sensible number."""


def _number(name: str, value: float, whole: bool) -> float:
    least = 1 if whole and name not in MAY_BE_ZERO else 0
    if not math.isfinite(value) or value < least or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise RecipeError(f"{name} must be {kind} of at least {least}, not {value}")
    return int(value) if whole else float(value)


SCHEDULE_FIELDS = tuple(field.name for field in fields(Schedule))
