"""The generator's loss: weighted terms, each with an optional wrapper."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Option = float | str | bool


@dataclass(frozen=True)
class ExpIncrement:
    """Replaces a value by exp(value - reference): an increase is penalized exponentially (RDSKD).

    Attributes:
        refresh: The reference becomes the present value every `refresh` generator steps of the
            published schedule.
    """

    refresh: int = 1


@dataclass(frozen=True)
class Bounded:
    """Replaces a value by max(value, -bound), which limits an adversary (MAD).

    Attributes:
        bound: The limit.
    """

    bound: float = 1.0


@dataclass(frozen=True)
class Log1p:
    """Replaces a value by -log(1 - value); for a term that is never positive (DFAD)."""


AnyWrapper = ExpIncrement | Bounded | Log1p
"""What a term's value passes through before it is weighted."""


@dataclass(frozen=True)
class Term:
    """One term of the generator's loss.

    Attributes:
        name: A key of the table of terms.
        weight: Its factor in the sum.
        where_possible: True drops the term for a teacher without batch norm, if the term needs it;
            False refuses such a teacher.
        options: Keyword arguments of the term.
        wrapper: Applied to the value before weighting; None leaves the value as it is.
    """

    name: str
    weight: float
    where_possible: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)
    wrapper: AnyWrapper | None = None
