"""Fit the names of a state dict to those of a network: prefixes, extra entries, types."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from base.errors import InputError
from pipeline.config.architecture_names import kind_and_name
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.library_networks import fits_torchvision
from pipeline.teachers.state_dicts import StateDict

WRAPPER_PARTS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of names that torch.compile, FSDP and activation checkpointing add anywhere."""

PROFILER_BUFFERS = ("total_ops", "total_params")
"""Buffers that the profiler thop adds to every module."""

FLOAT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

LISTED = 3
"""Largest number of names in a note."""


@dataclass(frozen=True)
class FittedWeights:
    """Weights with the names that the network has.

    Attributes:
        state: The weights. Their types are those of the file.
        notes: What was changed to make them fit, for the user.
    """

    state: StateDict
    notes: tuple[str, ...]


def fit_weights(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], section: TeacherSection
) -> FittedWeights:
    """Return the weights of a network from a state dict that may have other names beside them.

    - Parts of names that wrappers add are removed, then the prefix without which all names and
      shapes fit.
    - Entries without that prefix are dropped: they belong to something else, such as a loss.
    - The profiler thop's buffers are dropped.

    Args:
        state: A state dict from a file.
        expected: The network's state dict.
        section: The run file's `teacher`.

    Raises:
        InputError: If names are missing or unexpected, if shapes or types differ, or if several
            prefixes fit.
    """
    state = without_wrapper_parts(state, expected)
    prefix = _prefix(state, expected, section)
    inside = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    buffers = [name for name in inside if name not in expected and is_profiler_buffer(name)]
    fitted = {name: tensor for name, tensor in inside.items() if name not in buffers}
    _require_same_names(fitted, expected, section)
    _require_float(fitted, expected, section)
    outside = [name for name in state if not name.startswith(prefix)]
    notes = []
    if prefix:
        notes.append(f"removed the prefix {prefix} from the names of the weights")
    if outside:
        notes.append(f"ignored the entries without the prefix: {_listed(outside)}")
    if buffers:
        notes.append(f"ignored the buffers of a profiler: {_listed(buffers)}")
    types = Counter(str(t.dtype).removeprefix("torch.") for t in fitted.values() if _is_short(t))
    notes += [f"converted {count} tensors from {name} to float32" for name, count in types.items()]
    return FittedWeights(fitted, tuple(notes))


def prefixes(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Counter[str]:
    """Return, by prefix, how many of the expected tensors a state dict has behind it.

    A tensor counts if name and shape fit. The counters of batch norms do not count: files of old
    torch versions lack them, and inference never reads them.
    """
    found: Counter[str] = Counter()
    for name, tensor in state.items():
        rest, prefix = name, ""
        while rest:
            if is_required(rest) and rest in expected and expected[rest].shape == tensor.shape:
                found[prefix] += 1
            part, dot, rest = rest.partition(".")
            prefix += part + dot
    return found


def is_required(name: str) -> bool:
    """Return whether a file must have the tensor of this name if the network has it."""
    return not name.endswith("num_batches_tracked")


def is_profiler_buffer(name: str) -> bool:
    """Return whether a tensor is one that a profiler adds."""
    return name.rpartition(".")[2] in PROFILER_BUFFERS


def without_wrapper_parts(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Return a state dict without the parts of names that wrappers add, unless two names agree."""
    if any(part in WRAPPER_PARTS for name in expected for part in name.split(".")):
        return state
    renamed = {
        ".".join(part for part in name.split(".") if part not in WRAPPER_PARTS): tensor
        for name, tensor in state.items()
    }
    return renamed if len(renamed) == len(state) else state


def _prefix(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], section: TeacherSection
) -> str:
    """Return the prefix without which the weights fit, or else the one that fits most of them."""
    found = prefixes(state, expected)
    needed = sum(map(is_required, expected))
    fitting = [prefix for prefix, count in found.items() if count == needed]
    if len(fitting) > 1:
        named = sorted(prefix.rstrip(".") for prefix in fitting if prefix)
        raise InputError(
            f"teacher {section.weights}: holds the weights of {section.architecture} "
            f"{len(fitting)} times, with the prefixes {', '.join(named)}"
            f"{' and without prefix' if '' in fitting else ''}; set "
            f"teacher.weights_key: {_longer_key(section.weights_key, fitting)}, or another of these"
        )
    # Without prefix if nothing fits better, so that the error message has the names of the file.
    return max(["", *found], key=lambda prefix: found[prefix])


def _longer_key(key: str | None, fitting: list[str]) -> str:
    chosen = max(fitting).rstrip(".")
    return f"{key}.{chosen}" if key else chosen


def _require_same_names(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], section: TeacherSection
) -> None:
    optional = {name for name in expected if not is_required(name)}
    other_shape = [n for n in expected.keys() & state.keys() if expected[n].shape != state[n].shape]
    differences = [
        ("missing", sorted(expected.keys() - state.keys() - optional)),
        ("unexpected", sorted(state.keys() - expected.keys())),
        ("of another shape", sorted(other_shape)),
    ]
    found = [f"{len(names)} {kind} ({names[0]}, ...)" for kind, names in differences if names]
    if found:
        raise InputError(
            f"teacher {section.weights}: the weights are not those of {section.architecture} with "
            f"{section.classes} classes: {'; '.join(found)}; {_how_to_fit(state, section)}"
        )


def _require_float(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], section: TeacherSection
) -> None:
    for name, tensor in state.items():
        kind = _unusable(tensor, expected[name])
        if kind:
            raise InputError(
                f"teacher {section.weights}: {name} is {kind}, but {section.architecture} needs "
                f"{str(expected[name].dtype).removeprefix('torch.')}; save the weights in float32"
            )


def _unusable(tensor: Tensor, expected: Tensor) -> str:
    """Return what makes a tensor unusable as a weight, or "" if nothing does."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_meta:
        return "a meta tensor without values"
    if tensor.is_quantized:
        return f"quantized ({dtype})"
    if tensor.layout != torch.strided or tensor.is_nested:
        return "a sparse or nested tensor"
    if expected.is_floating_point():
        return "" if tensor.dtype in FLOAT_TYPES else dtype
    # An average of whole state dicts has turned counters into fractions; inference reads none.
    is_counter = expected.dim() == 0
    has_fractions = tensor.is_floating_point() or tensor.is_complex()
    return dtype if has_fractions and not is_counter and not expected.is_complex() else ""


def _is_short(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.float16, torch.bfloat16)


def _how_to_fit(state: Mapping[str, Tensor], section: TeacherSection) -> str:
    """Return what to change in the run file if the weights are not those of the architecture."""
    name, kind = section.architecture, kind_and_name(section.architecture)[0]
    # The registry has other networks than torchvision under some of torchvision's names.
    if kind == "registry" and fits_torchvision(name, section.classes, state):
        and_width = " and remove teacher.width" if section.width != 1.0 else ""
        return (
            f"they are those of torchvision's {name}: "
            f"write architecture: torchvision:{name}{and_width}"
        )
    if kind == "registry":
        return "correct teacher.architecture, teacher.width or teacher.classes"
    return "correct teacher.architecture, teacher.factory_arguments or teacher.classes"


def _listed(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
