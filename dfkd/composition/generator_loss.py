"""The generator's loss: weighted terms, each with an optional wrapper."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Option = float | str | bool


@dataclass(frozen=True)
class ExpIncrement:
    """Replaces a value by exp(value - reference), which grows exponentially with it (RDSKD).

    Attributes:
        refresh: Number of generator steps, in the published schedule, after which the reference is
            set to the current value.
    """

    refresh: int = 1


@dataclass(frozen=True)
class Bounded:
    """Replaces a value by max(value, -bound), which bounds an adversarial term (MAD).

    Attributes:
        bound: The result is at least -bound.
    """

    bound: float = 1.0


@dataclass(frozen=True)
class Log1p:
    """Replaces a value by -log(1 - value), where the value is never positive (DFAD)."""


AnyWrapper = ExpIncrement | Bounded | Log1p
"""A function that is applied to a term's value before it is weighted."""


@dataclass(frozen=True)
class Term:
    """One term of the generator's loss.

    Attributes:
        name: A key of the table of terms.
        weight: Factor of its value in the sum.
        where_possible: What to do if the term needs batch norm and the teacher has none. True
            leaves out the term; False refuses the teacher.
        options: Keyword arguments of the term.
        wrapper: Applied to the value before it is weighted; None does not change the value.
    """

    name: str
    weight: float
    where_possible: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)
    wrapper: AnyWrapper | None = None
