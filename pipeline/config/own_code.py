"""Import modules that a run file names, if this machine allows it."""

import os
from importlib import import_module
from types import ModuleType

from base.errors import InputError, first_line

FACTORIES_VARIABLE = "DATAFREE_EDGE_FACTORIES"
"""Environment variable: "allowed" (the default), or "refused" on a worker that runs the run files
of people who must not run code there."""


def import_own_module(subject: str, name: str) -> ModuleType:
    """Return a module of the user's own.

    Args:
        subject: What the run file names, to begin the message.
        name: The name of the module.

    Raises:
        InputError: If it does not exist, or if importing it fails.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{subject}: {error}; add its folder to PYTHONPATH, or install it"
        ) from None
    except Exception as error:  # The user's module can raise anything.
        raise InputError(
            f"{subject}: importing it failed: {type(error).__name__}: {first_line(error)}; "
            "correct the module"
        ) from None


def require_own_code_allowed(subject: str, remedy: str) -> None:
    """Raise InputError if this machine refuses to import code that a run file names.

    Args:
        subject: What would import code, to begin the message.
        remedy: What the user can choose instead.

    Raises:
        InputError: If `FACTORIES_VARIABLE` is "refused", or has an unknown value.
    """
    setting = os.environ.get(FACTORIES_VARIABLE, "allowed")
    if setting == "refused":
        raise InputError(
            f"{subject} imports code, which this machine refuses; {remedy}, or set "
            f"{FACTORIES_VARIABLE}=allowed"
        )
    if setting != "allowed":
        raise InputError(f"{FACTORIES_VARIABLE} is {setting!r}; set it to refused or allowed")
