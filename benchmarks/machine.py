"""The machine that a figure was measured on."""

import os
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16")
"""CPU features that decide how fast int8 and bfloat16 are."""


def describe_machine() -> str:
    """Return one line: CPU model, its instruction sets, cores and Python version."""
    info = CPUINFO.read_text() if CPUINFO.exists() else ""
    fields: dict[str, str] = {}
    for line in info.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    flags = fields.get("flags", "").split()
    sets = [name for name in FLAGS if name in flags]
    model = fields.get("model name", platform.machine())
    # A process can be limited to some of the cores, for instance by taskset.
    cores = len(os.sched_getaffinity(0))
    return f"{model} ({' '.join(sets)}), {cores} cores, Python {platform.python_version()}"
