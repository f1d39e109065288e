"""The values of `factory_arguments` and `output` in a run file. Imports no torch."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def _check_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    for name, value in arguments.items():
        if not name.isidentifier():
            raise ValueError(f"{name!r} is not the name of a Python argument, such as depth")
        values = value if isinstance(value, list) else [value]
        if not all(map(_is_plain, values)):
            raise ValueError(
                f"{name} must be a finite number, a text, true, false, null, or a list of these"
            )
    return arguments


def _is_plain(value: object) -> bool:
    # No subclasses: JSON could store them as something else.
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is str:
        return _is_unicode(value)
    return value is None or type(value) in (bool, int)


def _is_unicode(text: str) -> bool:
    """Return whether a text can be encoded; YAML allows lone surrogates, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_output(output: object) -> object:
    is_position = type(output) is int and output >= 0
    if output is not None and not is_position and not isinstance(output, str):
        raise ValueError("must be the position (0, 1, ...) or the name of one of several outputs")
    return output


FactoryArguments = Annotated[dict[str, Any], AfterValidator(_check_arguments)]
"""Keyword arguments of a factory, by name."""

Output = Annotated[int | str | None, BeforeValidator(_check_output)]
"""The position or the name of the logits among the outputs of a network."""
