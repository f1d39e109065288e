"""A data-free method as data: a validated composition of parts with a name and a source."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from dfkd.composition import BatchBank, Composition, ExpIncrement, MetaStep
from dfkd.errors import RecipeError
from dfkd.rules import violated_rule

__all__ = ["SETTINGS", "Recipe", "RecipeError", "Setting"]


@dataclass(frozen=True)
class Recipe(Composition):
    """A method of data-free distillation (or, with a fake-quantized student, quantization).

    Attributes:
        name: The name in a run file.
        citation: The source.
        reported: Published results, each with the place where it is reported.
        notes: What is unverified, and what differs from the source.

    Raises:
        RecipeError: When the parts do not go together.

    Examples:
        >>> from dfkd.composition import Schedule, Term
        >>> recipe = Recipe("mine", "none", terms=(Term("certainty", 1.0),))
        >>> recipe.overridden({"batch": 32}).schedule.batch
        32
    """

    name: str
    citation: str
    reported: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        reason = violated_rule(self)
        if reason:
            raise RecipeError(reason)

    def overridden(self, overrides: Mapping[str, float]) -> "Recipe":
        """Return this recipe with some numbers replaced.

        Args:
            overrides: Values by a name out of `settings`.

        Raises:
            RecipeError: For an unknown name, a setting that the recipe does not use, a value out
                of range, or a result whose parts do not go together.
        """
        weights: dict[str, float] = {}
        numbers: dict[str, float] = {}
        for name, value in overrides.items():
            if name in (term.name for term in self.terms):
                weights[name] = _checked(name, value, whole=False, least=0)
            elif name in SETTINGS:
                setting = SETTINGS[name]
                numbers[name] = _checked(name, value, setting.whole, setting.least)
            else:
                raise RecipeError(f"recipe {self.name} has no setting {name!r}")
        terms = tuple(replace(t, weight=weights.get(t.name, t.weight)) for t in self.terms)
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(Composition)}
        for name, value in numbers.items():
            part, *path = SETTINGS[name].path
            if _has(parts[part], path):
                parts[part] = _with_value(parts[part], path, value)
        changed = replace(self, **(parts | {"terms": terms}))
        for name, reason in changed.idle.items():
            if name in overrides:
                raise RecipeError(f"{name} has no effect: {reason}")
        return changed

    @property
    def settings(self) -> dict[str, float]:
        """Everything that `overridden` can replace, with the present values."""
        idle = self.idle
        numbers = {name: s.value(self) for name, s in SETTINGS.items() if name not in idle}
        return {**numbers, **{term.name: term.weight for term in self.terms}}

    @property
    def idle(self) -> dict[str, str]:
        """The settings that have no effect on this recipe, each with the reason."""
        reasons = {n: s.missing for n, s in SETTINGS.items() if not _has(self, s.path)}
        if isinstance(self.update, MetaStep):
            for name in ("attention", "stages"):
                reasons[name] = "the meta step compares logits only"
        scaled = (
            self.schedule.warmup_rounds
            or isinstance(self.memory, BatchBank)
            or any(isinstance(term.wrapper, ExpIncrement) for term in self.terms)
        )
        if not scaled:
            reasons["rounds"] = "the budget sets the length, and nothing is scaled with it"
        return reasons

    def as_data(self) -> dict[str, Any]:
        """Return everything that influences the arithmetic as JSON-compatible data.

        Each part is a dict with its class name under "type". Name, citation, reported results and
        notes are left out. Equal recipes give equal data, whatever the order of mapping keys.
        """
        return {f.name: _data(getattr(self, f.name)) for f in fields(Composition)}


@dataclass(frozen=True)
class Setting:
    """A number of a recipe that can be overridden.

    Attributes:
        path: Attribute names from the recipe to the number.
        whole: Whether it is a whole number.
        missing: Why it has no effect on a recipe whose parts lack it.
        may_be_zero: Whether a whole number may be 0.
    """

    path: tuple[str, ...]
    whole: bool
    missing: str = ""
    may_be_zero: bool = False

    @property
    def least(self) -> int:
        """The smallest value allowed."""
        return 1 if self.whole and not self.may_be_zero else 0

    def value(self, recipe: Composition) -> float:
        """Return the number of a recipe."""
        found: Any = recipe
        for name in self.path:
            found = getattr(found, name)
        number: float = found
        return number


_NO_GENERATOR = "the pixels are optimized directly, without a generator"

SETTINGS: dict[str, Setting] = {
    "batch": Setting(("schedule", "batch"), whole=True),
    "generator_steps": Setting(("schedule", "generator_steps"), whole=True, may_be_zero=True),
    "fresh_batches": Setting(("schedule", "fresh_batches"), whole=True, may_be_zero=True),
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


def _checked(name: str, value: float, whole: bool, least: int) -> float:
    if not math.isfinite(value) or value < least or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise RecipeError(f"{name} must be {kind} of at least {least}, not {value}")
    return int(value) if whole else float(value)


def _has(part: Any, path: tuple[str, ...] | list[str]) -> bool:
    if not path:
        return True
    if not is_dataclass(part) or path[0] not in {f.name for f in fields(part)}:
        return False
    return _has(getattr(part, path[0]), path[1:])


def _with_value(part: Any, path: list[str], value: float) -> Any:
    if not path:
        return value
    return replace(part, **{path[0]: _with_value(getattr(part, path[0]), path[1:], value)})


def _data(value: Any) -> Any:
    if is_dataclass(value):
        named = {f.name: _data(getattr(value, f.name)) for f in fields(value)}
        return {"type": type(value).__name__, **named}
    if isinstance(value, Mapping):
        return {key: _data(value[key]) for key in sorted(value)}
    if isinstance(value, tuple):
        return [_data(part) for part in value]
    return value
