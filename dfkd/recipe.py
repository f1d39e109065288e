"""Recipes: data-free methods, each a validated composition of parts with a name and a source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from dfkd.composition import BatchBank, Composition, ExpIncrement, MetaStep
from dfkd.errors import RecipeError
from dfkd.memory import MEMORIES
from dfkd.references import module_of
from dfkd.rules import violated_rule
from dfkd.settings import SETTINGS, checked_number
from dfkd.student_loss import OBJECTIVES, UPDATES
from dfkd.synthesizers import SYNTHESIZERS
from dfkd.terms import TERMS, WRAPPERS

__all__ = ["Recipe", "RecipeError", "Role"]

Role = Literal["own", "published", "published-other-data", "published-quantization", "internal"]
"""The origin of a recipe.

"own" is a recipe of this project or of a user. "published" is a method with the settings of its
paper. "published-other-data" is a method with its settings for a second data set.
"published-quantization" is a method whose student is the quantized teacher. "internal" is a recipe
that the pipeline uses, but that a run file cannot name."""


@dataclass(frozen=True)
class Recipe(Composition):
    """A method of data-free distillation (or, with a fake-quantized student, quantization).

    Attributes:
        name: The name in a run file.
        citation: The publication of the method.
        role: See `Role`.
        reported: Published results by task, each with its source.
        notes: Details that are not verified or that differ from the source.

    Raises:
        RecipeError: If the parts cannot be combined.

    Examples:
        >>> from dfkd.composition import Schedule, Term
        >>> recipe = Recipe("mine", "none", terms=(Term("certainty", 1.0),))
        >>> recipe.overridden({"batch": 32}).schedule.batch
        32
    """

    name: str
    citation: str
    role: Role = "own"
    reported: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        reason = violated_rule(self)
        if reason:
            raise RecipeError(reason)

    def overridden(self, overrides: Mapping[str, float]) -> "Recipe":
        """Return this recipe with some numbers replaced.

        Args:
            overrides: New values, by their names in `settings`.

        Raises:
            RecipeError: If a name is unknown, if the recipe does not use a setting, if a value is
                out of range, or if the changed parts cannot be combined.
        """
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(Composition)}
        weights: dict[str, float] = {}
        for name, value in overrides.items():
            if name in (term.name for term in self.terms):
                weights[name] = checked_number(name, value, whole=False, least=0)
            elif name in SETTINGS:
                number, part = SETTINGS[name].checked(name, value), SETTINGS[name].path[0]
                parts[part] = SETTINGS[name].changed(parts[part], number)
            else:
                raise RecipeError(f"recipe {self.name} has no setting {name!r}")
        terms = tuple(replace(t, weight=weights.get(t.name, t.weight)) for t in self.terms)
        changed = replace(self, **(parts | {"terms": terms}))
        for name, reason in changed.idle.items():
            if name in overrides:
                raise RecipeError(f"{name} has no effect: {reason}")
        return changed

    @property
    def settings(self) -> dict[str, float]:
        """The current values of everything that `overridden` can replace, by name."""
        idle = self.idle
        numbers = {name: s.value(self) for name, s in SETTINGS.items() if name not in idle}
        return {**numbers, **{term.name: term.weight for term in self.terms}}

    @property
    def idle(self) -> dict[str, str]:
        """The settings that have no effect on this recipe, each with the reason."""
        reasons = {n: s.missing for n, s in SETTINGS.items() if not s.exists(self)}
        if isinstance(self.update, MetaStep):
            for name in ("attention", "stages"):
                reasons[name] = "the meta step compares logits only"
        scaled = (
            self.schedule.warmup_rounds
            or isinstance(self.memory, BatchBank)
            or any(isinstance(term.wrapper, ExpIncrement) for term in self.terms)
        )
        if not scaled:
            reasons["rounds"] = "the budget sets the length, and no part of this recipe uses rounds"
        return reasons

    def as_data(self) -> dict[str, Any]:
        """Return all parts that influence the arithmetic, as JSON-compatible data.

        Each part is a dict with its class name under "type". Name, citation, reported results and
        notes are left out. The order of the keys of a mapping does not change the data.
        """
        return {f.name: _data(getattr(self, f.name)) for f in fields(Composition)}

    def modules(self) -> tuple[str, ...]:
        """Return the sorted names of the modules that implement the recipe's parts.

        The names are from the tables of parts; no module is imported. The training loop is not
        included, because every recipe uses it.

        Examples:
            >>> from dfkd.composition import Term
            >>> Recipe("mine", "none", terms=(Term("certainty", 1.0),)).modules()[-1]
            'dfkd.terms.certainty'
        """
        found = {module_of(OBJECTIVES[type(self.objective)])}
        found.update(SYNTHESIZERS[type(self.synthesizer)].modules)
        if self.objective.compares_maps:
            found.add("dfkd.student_loss.feature_maps")
        if self.memory is not None:
            found.update(MEMORIES[type(self.memory)].modules)
        if self.update is not None:
            found.add(module_of(UPDATES[type(self.update)]))
        if self.selection != "all":
            found.add("dfkd.training.selection")
        if self.synthesizer.augment != "none":
            found.add("dfkd.augmentation")
        for term in self.terms:
            found.add(module_of(TERMS[term.name].function))
            if term.wrapper is not None:
                found.add(module_of(WRAPPERS[type(term.wrapper)]))
        return tuple(sorted(found))


def _data(value: Any) -> Any:
    if is_dataclass(value):
        named = {f.name: _data(getattr(value, f.name)) for f in fields(value)}
        return {"type": type(value).__name__, **named}
    if isinstance(value, Mapping):
        return {key: _data(value[key]) for key in sorted(value)}
    if isinstance(value, tuple):
        return [_data(part) for part in value]
    return value
