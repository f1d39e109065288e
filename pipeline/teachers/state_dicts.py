"""Find and choose state dicts inside a checkpoint, however it nests them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from base.errors import InputError
from base.suggest import did_you_mean
from pipeline.teachers.stand_ins import StandIn

StateDict = dict[str, Tensor]

MAX_DEPTH = 4
"""Checkpoints nest state dicts at most this deep."""

LISTED = 6
"""Largest number of state dicts in an error message."""


def find_state_dicts(checkpoint: Any) -> dict[str, StateDict]:
    """Return all state dicts in a checkpoint.

    A state dict is a dict of tensors by name. If it is nested, at least one of them has two
    dimensions or more, as the weights of a convolution or linear layer have; a dict of scores has
    none. Numbers and texts beside the tensors are left out.

    Args:
        checkpoint: What `torch.load` returned.

    Returns:
        The state dicts by their keys in the checkpoint, joined by dots. The key is "" if the whole
        checkpoint is one.
    """
    return dict(_found(checkpoint, ()))


def _found(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, StateDict]]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return
    tensors = {name: item for name, item in value.items() if isinstance(item, Tensor)}
    others = [item for item in value.values() if not isinstance(item, Tensor)]
    if all(_is_plain(item) for item in others):
        if any(tensor.dim() >= 2 for tensor in tensors.values()) or (tensors and not keys):
            yield ".".join(keys), tensors
    elif len(keys) < MAX_DEPTH:
        for name, item in value.items():
            yield from _found(item, (*keys, name))


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(
        value, bool | int | float | str | torch.dtype | torch.Size | StandIn
    )


def choose_state_dict(found: Mapping[str, StateDict], key: str | None, url: str) -> StateDict:
    """Return the state dict that a run file chooses, or the only one.

    Args:
        found: The result of `find_state_dicts`.
        key: The run file's `teacher.weights_key`. It may go on into the names of the tensors:
            `state_dict.ema_model` chooses those that begin with `ema_model.`, and this beginning is
            removed.
        url: The file's path or URL, for error messages.

    Raises:
        InputError: If there is no key and several state dicts, or if none or several fit the key.
    """
    if key is None:
        if len(found) == 1:
            return next(iter(found.values()))
        raise InputError(
            f"teacher {url}: holds {len(found)} state dicts: {_listed(found)}; "
            f"set teacher.weights_key: {averaged_first(found)[0]}, or another of these"
        )
    if key in found:
        return found[key]
    inside = {}
    for place, state in found.items():
        rest = key.removeprefix(f"{place}.") if place else key
        tensors = {
            n.removeprefix(f"{rest}."): t for n, t in state.items() if n.startswith(f"{rest}.")
        }
        if tensors:
            inside[f"{place}.{rest}" if place else rest] = tensors
    if len(inside) > 1:
        raise InputError(
            f"teacher {url}: teacher.weights_key: {key!r} fits {' and '.join(inside)}; "
            "set it to one of these"
        )
    if inside:
        return next(iter(inside.values()))
    known = [place for place in found if place]
    raise InputError(
        f"teacher {url}: teacher.weights_key: nothing in the file has the key {key!r}"
        f"{did_you_mean(key, known) or '; remove teacher.weights_key'}"
    )


def averaged_first(found: Mapping[str, StateDict]) -> list[str]:
    """Return the keys of state dicts, those of averaged weights (EMA) first.

    Averaged weights are usually the ones that were evaluated.
    """
    return sorted(found, key=lambda place: "ema" not in place.lower())


def _listed(found: Mapping[str, StateDict]) -> str:
    shown = [f"{place} ({len(found[place])} tensors)" for place in list(found)[:LISTED]]
    more = [f"and {len(found) - LISTED} more"] if len(found) > LISTED else []
    return ", ".join(shown + more)
