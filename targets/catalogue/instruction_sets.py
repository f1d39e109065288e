"""The int8 instructions of this CPU."""

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Cpu:
    """The properties of a CPU that int8 kernels depend on.

    Attributes:
        model: Its model name.
        machine: "x86_64", "aarch64", ...
        int8: Its best int8 instructions: "vnni", "avx2", "i8mm", "dotprod" or "none".
        bfloat16: Whether it is an x86 CPU that multiplies bfloat16 numbers.
    """

    model: str
    machine: str
    int8: str
    bfloat16: bool = False

    @property
    def is_x86(self) -> bool:
        """Whether its int8 instructions multiply unsigned by signed bytes."""
        return self.machine in ("x86_64", "AMD64")

    @property
    def saturates(self) -> bool:
        """Whether full-range weights can overflow.

        x86 without VNNI adds pairs of products in 16 bits.
        """
        return self.is_x86 and self.int8 != "vnni"


@cache
def this_cpu(cpuinfo: str = "/proc/cpuinfo") -> Cpu:
    """Return the CPU that this process runs on."""
    path = Path(cpuinfo)
    return parse_cpuinfo(path.read_text() if path.exists() else "", platform.machine())


def parse_cpuinfo(text: str, machine: str) -> Cpu:
    """Read a CPU's properties from the text of /proc/cpuinfo.

    Args:
        text: The file's content; without feature flags, int8 is "none".
        machine: The architecture, as `platform.machine()` returns it.
    """
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    model = fields.get("model name", machine)
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    for name, needed in (
        ("vnni", {"avx512_vnni"}),
        ("vnni", {"avx_vnni"}),
        ("avx2", {"avx2"}),
        ("i8mm", {"i8mm"}),
        ("dotprod", {"asimddp"}),
    ):
        if needed <= flags:
            return Cpu(model, machine, name, bool(flags & {"avx512_bf16", "amx_bf16"}))
    return Cpu(model, machine, "none")
