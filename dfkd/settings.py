"""The numbers of a recipe that a run file can override, by name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from dfkd.composition import Composition
from dfkd.errors import RecipeError


@dataclass(frozen=True)
class Setting:
    """A number of a recipe that can be overridden.

    Attributes:
        path: Attribute names from the recipe to the number.
        whole: Whether it is a whole number.
        missing: The reason to report if no part of a recipe has this number.
        may_be_zero: Whether a whole number may be 0.
    """

    path: tuple[str, ...]
    whole: bool
    missing: str = ""
    may_be_zero: bool = False

    def exists(self, recipe: Composition) -> bool:
        """Return whether the recipe has a part with this number."""
        return _has(recipe, self.path)

    def value(self, recipe: Composition) -> float:
        """Return the recipe's value of this number."""
        found: Any = recipe
        for name in self.path:
            found = getattr(found, name)
        number: float = found
        return number

    def changed(self, part: Any, value: float) -> Any:
        """Return a copy of the recipe's part `path[0]` with a new value of this number.

        A part without this number is returned unchanged.
        """
        path = self.path[1:]
        return _with_value(part, path, value) if _has(part, path) else part

    def checked(self, name: str, value: float) -> float:
        """Return a value as int or float, after checking its range.

        Args:
            name: The setting's name, for the message.
            value: The value from a run file.

        Raises:
            RecipeError: If the value is out of range or not whole.
        """
        least = 1 if self.whole and not self.may_be_zero else 0
        return checked_number(name, value, self.whole, least)


_NO_GENERATOR = "the recipe optimizes pixels without a generator"

SETTINGS: dict[str, Setting] = {
    "batch": Setting(("schedule", "batch"), whole=True),
    "generator_steps": Setting(("schedule", "generator_steps"), whole=True, may_be_zero=True),
    "fresh_batches": Setting(("schedule", "fresh_batches"), whole=True, may_be_zero=True),
    "procedural_batches": Setting(("schedule", "procedural_batches"), whole=True, may_be_zero=True),
    "student_steps": Setting(("schedule", "student_steps"), whole=True),
    "warmup_rounds": Setting(("schedule", "warmup_rounds"), whole=True, may_be_zero=True),
    "rounds": Setting(("schedule", "rounds"), whole=True),
    "generator_lr": Setting(("generator", "lr"), whole=False),
    "student_lr": Setting(("student", "lr"), whole=False),
    "latent": Setting(("synthesizer", "network", "latent"), True, _NO_GENERATOR),
    "width": Setting(("synthesizer", "network", "width"), True, _NO_GENERATOR),
    "inner_steps": Setting(
        ("synthesizer", "steps"),
        True,
        "KeptGenerator takes one step for each batch; set generator_steps instead",
    ),
    "memory": Setting(
        ("memory", "capacity"), True, "the recipe's memory stores no images", may_be_zero=True
    ),
    "replay_share": Setting(("memory", "share"), False, "the recipe has no memory"),
    "temperature": Setting(("objective", "temperature"), False, "LogitL1 has no temperature"),
    "attention": Setting(("objective", "attention"), whole=False),
    "stages": Setting(("objective", "stages"), whole=False),
    "inner_lr": Setting(("update", "inner_lr"), False, "the recipe has no meta step"),
}
"""The numbers that a run file can override, by name."""


def checked_number(name: str, value: float, whole: bool, least: int) -> float:
    """Return a value as int or float; raise `RecipeError` if it is out of range."""
    if not math.isfinite(value) or value < least or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise RecipeError(f"{name} must be {kind} of at least {least}, not {value}")
    return int(value) if whole else float(value)


def _has(part: Any, path: Sequence[str]) -> bool:
    if not path:
        return True
    if not is_dataclass(part) or path[0] not in {f.name for f in fields(part)}:
        return False
    return _has(getattr(part, path[0]), path[1:])


def _with_value(part: Any, path: Sequence[str], value: float) -> Any:
    if not path:
        return value
    return replace(part, **{path[0]: _with_value(getattr(part, path[0]), path[1:], value)})
