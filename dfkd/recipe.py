"""A data-free method as data: a validated composition of parts with a name and a source."""

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
"""What a recipe is: "own" for recipes of this project or yours; "published" for a method at its
paper's defaults, "published-other-data" at its defaults for a second data set,
"published-quantization" for a method whose student is the quantized teacher; "internal" for recipes
that the pipeline uses and no run file can name."""


@dataclass(frozen=True)
class Recipe(Composition):
    """A method of data-free distillation (or, with a fake-quantized student, quantization).

    Attributes:
        name: The name in a run file.
        citation: The source.
        role: See `Role`.
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
            overrides: Values by a name out of `settings`.

        Raises:
            RecipeError: For an unknown name, a setting that the recipe does not use, a value out
                of range, or a result whose parts do not go together.
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
        """Everything that `overridden` can replace, with the present values."""
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
            reasons["rounds"] = "the budget sets the length, and nothing is scaled with it"
        return reasons

    def as_data(self) -> dict[str, Any]:
        """Return everything that influences the arithmetic as JSON-compatible data.

        Each part is a dict with its class name under "type". Name, citation, reported results and
        notes are left out. Equal recipes give equal data, whatever the order of mapping keys.
        """
        return {f.name: _data(getattr(self, f.name)) for f in fields(Composition)}

    def modules(self) -> tuple[str, ...]:
        """Return the sorted names of the modules that implement the recipe's parts.

        They are looked up in the tables of parts and not imported. The training loop itself, which
        every recipe uses, is not included.

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
