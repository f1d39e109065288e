"""References to code by name, so that a table of parts can be read without importing torch."""

from importlib import import_module
from typing import Any


def load(reference: str) -> Any:
    """Return the object that a reference points to.

    Args:
        reference: A module and a name in it, as "module:name".

    Examples:
        >>> load("math:sqrt")(9.0)
        3.0
    """
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def module_of(reference: str) -> str:
    """Return the module of a reference, without importing it.

    Examples:
        >>> module_of("dfkd.terms.certainty:entropy")
        'dfkd.terms.certainty'
    """
    return reference.partition(":")[0]
