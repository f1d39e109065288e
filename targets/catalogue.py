"""The targets by name."""

import difflib
from dataclasses import dataclass

from targets.instruction_sets import this_cpu


class UnknownTargetError(LookupError):
    """No target has this name; names the nearest."""


@dataclass(frozen=True)
class Target:
    """A device a graph can be compiled for.

    Attributes:
        name: What a run file calls it.
        runtime: What runs the compiled artifact there.
        description: A line for people.
    """

    name: str
    runtime: str
    description: str


TARGETS = {
    target.name: target
    for target in (Target("local-cpu", "onnxruntime", "ONNX Runtime on the CPU of this machine"),)
}


def find(name: str) -> Target:
    """The target of this name.

    Raises:
        UnknownTargetError: When there is none.
    """
    if name not in TARGETS:
        nearest = difflib.get_close_matches(name, TARGETS, n=1, cutoff=0.0)[0]
        raise UnknownTargetError(f"unknown target {name!r}; did you mean {nearest!r}?")
    return TARGETS[name]


def needs_half_range_weights(name: str) -> bool:
    """Whether the target's int8 kernels overflow on full-range weights."""
    find(name)
    return this_cpu().saturates
