"""Find the networks of timm that may have the tensors of a state dict, by timm's source text.

Building each of timm's networks would take minutes.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType

from torch import Tensor

WORD = re.compile(r"[A-Za-z_]\w*")

OWN_IMPORT = re.compile(r"^from \.(\w+) import", re.MULTILINE)

WHOLE_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")

DIGITS = "0123456789"

SMALL = 4
"""Numbers up to this occur everywhere."""

COMMON = {"", "weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
"""Words in the names of every network."""

SMALL_NETWORK = re.compile("test|atto|femto|pico|nano|tiny|small|050|18")
"""Parts of the names of networks that are quick to build."""

MAX_FAMILIES = 4

ALIKE = 0.4
"""Least share of equal names in a family that is searched."""

Likely = tuple[float, float, str]
"""How alike the names of the family's tensors are, the share of the numbers in the network's source
that are sizes of tensors, and the network's name."""


def likely_networks(
    state: Mapping[str, Tensor], timm: ModuleType, names_of: Callable[[str], Iterable[str]]
) -> list[Likely]:
    """Return networks that may have the tensors of a state dict, the likeliest first.

    Args:
        state: The state dict.
        timm: The module timm.
        names_of: Returns the names of the tensors of a network of timm.
    """
    sizes = {size for tensor in state.values() for size in tensor.shape}
    found = []
    for alike, family in _likely_families(state, timm, names_of):
        for name in timm.list_models(module=family):
            source = inspect.getsource(timm.model_entrypoint(name)).partition("(pretrained")[2]
            numbers = [n for n in map(int, WHOLE_NUMBER.findall(source)) if n > SMALL]
            share = sum(n in sizes for n in numbers) / len(numbers) if numbers else 1.0
            found.append((alike, share, name))
    return sorted(found, key=lambda each: each[:2], reverse=True)


def _likely_families(
    state: Mapping[str, Tensor], timm: ModuleType, names_of: Callable[[str], Iterable[str]]
) -> list[tuple[float, str]]:
    """Return modules of timm, with how alike the names in one of their networks are."""
    folder = Path(str(timm.__file__)).parent
    words = {part.rstrip(DIGITS) for name in state for part in name.split(".")} - COMMON
    if not words:  # The names of a sequential network are numbers.
        return []
    shared = _words("\n".join(_text(path) for path in sorted((folder / "layers").glob("*.py"))))
    known = {}
    for family in timm.list_modules():
        text = _text(folder / "models" / f"{family}.py")
        imported = (_text(folder / "models" / f"{name}.py") for name in OWN_IMPORT.findall(text))
        known[family] = len(words & (_words("\n".join((text, *imported))) | shared))
    most = max(known.values(), default=0)
    forms = {_form(name) for name in state}
    found = []
    for family, count in known.items():
        if networks := timm.list_models(module=family) if count == most else []:
            first = min(networks, key=lambda name: (not SMALL_NETWORK.search(name), len(name)))
            other = {_form(name) for name in names_of(first)}
            if (alike := len(forms & other) / len(forms | other)) >= ALIKE:
                found.append((alike, family))
    return sorted(found, reverse=True)[:MAX_FAMILIES]


def _form(name: str) -> str:
    """Return the last parts of a name without numbers; a prefix does not count."""
    parts = [part.rstrip(DIGITS) for part in name.split(".")]
    return ".".join([part for part in parts if part][-3:])


def _words(text: str) -> set[str]:
    return {word.rstrip(DIGITS) for word in WORD.findall(text)}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
