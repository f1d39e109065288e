"""What this CPU can do with int8."""

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Cpu:
    """A CPU as far as int8 kernels care.

    Attributes:
        model: Its name.
        machine: "x86_64", "aarch64", ...
        int8: The best int8 instructions it has: "vnni", "avx2", "i8mm", "dotprod" or "none".
    """

    model: str
    machine: str
    int8: str

    @property
    def is_x86(self) -> bool:
        """Whether it multiplies unsigned by signed bytes."""
        return self.machine in ("x86_64", "AMD64")

    @property
    def saturates(self) -> bool:
        """x86 without VNNI adds pairs of products in 16 bits: full-range weights overflow."""
        return self.is_x86 and self.int8 != "vnni"


@cache
def this_cpu(cpuinfo: str = "/proc/cpuinfo") -> Cpu:
    """The CPU this process runs on."""
    path = Path(cpuinfo)
    return parse_cpuinfo(path.read_text() if path.exists() else "", platform.machine())


def parse_cpuinfo(text: str, machine: str) -> Cpu:
    """A CPU from Linux's description of it; without one nothing is assumed of its int8."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    for name, needed in (
        ("vnni", {"avx512_vnni"}),
        ("vnni", {"avx_vnni"}),
        ("avx2", {"avx2"}),
        ("i8mm", {"i8mm"}),
        ("dotprod", {"asimddp"}),
    ):
        if needed <= flags:
            return Cpu(fields.get("model name", machine), machine, name)
    return Cpu(fields.get("model name", machine), machine, "none")
