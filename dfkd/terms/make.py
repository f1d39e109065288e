"""Make terms from the table, and compute them for a batch."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from dfkd.composition import Option
from dfkd.references import load
from dfkd.terms.inputs import TermInputs
from dfkd.terms.stateful import StatefulTerm
from dfkd.terms.table import TERMS


class _Stateless(StatefulTerm):
    """A function without state, with the interface of a stateful term."""

    def __init__(self, function: Callable[..., Tensor], options: dict[str, Any]) -> None:
        self.function, self.options = function, options

    def __call__(self, **inputs: Any) -> Tensor:
        """Return the function's value."""
        return self.function(**inputs, **self.options)


def make_term(name: str, teacher: nn.Module, **options: Option) -> StatefulTerm:
    """Return a term that is called with the inputs listed in the table.

    Args:
        name: A key of `dfkd.terms.TERMS`.
        teacher: The teacher; stateful terms take sizes and device from it.
        options: The options of the term in the recipe.

    Raises:
        TypeError: If the term does not have one of the options.

    Examples:
        >>> import torch
        >>> term = make_term("class-balance", torch.nn.Identity(), base=10)
        >>> round(term(teacher_logits=torch.zeros(4, 10)).item(), 3)
        -1.0
    """
    entry = TERMS[name]
    function = load(entry.function)
    if entry.stateful:
        term: StatefulTerm = function(teacher, **options)
        return term
    inspect.signature(function).bind(**dict.fromkeys(entry.inputs), **options)
    return _Stateless(function, options)


def term_value(name: str, term: StatefulTerm, inputs: TermInputs) -> Tensor:
    """Return the value of a term for a batch, a scalar."""
    found = {argument: getattr(inputs, argument) for argument in TERMS[name].inputs}
    missing = sorted(argument for argument, value in found.items() if value is None)
    if missing:
        raise ValueError(f"term {name} needs {missing[0]}, which the batch does not have")
    return term(**found)
