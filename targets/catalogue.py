"""The targets by name."""

import difflib
from dataclasses import dataclass

from targets.instruction_sets import Cpu, this_cpu


class UnknownTargetError(LookupError):
    """No target has this name; names the nearest."""


@dataclass(frozen=True)
class Target:
    """A device a graph can be compiled for.

    Attributes:
        name: What a run file calls it.
        description: A line for people.
        processor: The CPU it stands for; None for that of this machine.
    """

    name: str
    description: str
    processor: Cpu | None = None

    @property
    def cpu(self) -> Cpu:
        """What its kernels have to work with."""
        return self.processor or this_cpu()

    @property
    def is_here(self) -> bool:
        """Whether what runs here runs there with the same instructions, and may be timed."""
        here = this_cpu()
        return (self.cpu.is_x86, self.cpu.int8) == (here.is_x86, here.int8)


def _x86(name: str, int8: str, description: str) -> Target:
    return Target(name, f"ONNX Runtime on {description}", Cpu(description, "x86_64", int8))


def _arm(name: str, int8: str, description: str) -> Target:
    return Target(name, f"ONNX Runtime on {description}", Cpu(description, "aarch64", int8))


TARGETS = {
    target.name: target
    for target in (
        Target("local-cpu", "ONNX Runtime on the CPU of this machine"),
        _x86("x86-avx2", "avx2", "x86 with AVX2, without VNNI"),
        _x86("x86-vnni", "vnni", "x86 with AVX-512 VNNI or AVX-VNNI"),
        _arm("arm", "none", "64-bit ARM without dot product (Cortex-A53, A57, A72)"),
        _arm("arm-dotprod", "dotprod", "64-bit ARM with dot product (Cortex-A76, A78AE)"),
        _arm("arm-i8mm", "i8mm", "64-bit ARM with i8mm (Neoverse V1, Cortex-A710)"),
    )
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
