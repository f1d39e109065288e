"""References to code by name, so that a table of parts can be read without importing torch."""

from importlib import import_module
from typing import Any, TypeVar

from dfkd.errors import RecipeError

Key = TypeVar("Key")
Entry = TypeVar("Entry")


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


def add_entry(table: dict[Key, Entry], key: Key, entry: Entry, label: str) -> None:
    """Add a row to a table of parts.

    Args:
        table: The table.
        key: The key of the row.
        entry: The row.
        label: The part, to begin an error message.

    Raises:
        RecipeError: If the table has another row with this key.
    """
    if table.setdefault(key, entry) != entry:
        raise RecipeError(f"{label}: exists already with other properties; choose another name")
