"""One line about the machine a figure was measured on."""

import os
import platform
from pathlib import Path


def describe() -> str:
    """CPU model, instruction sets that matter for int8, cores and Python."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields: dict[str, str] = {}
    for line in info.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    flags = fields.get("flags", "").split()
    sets = [name for name in ("avx2", "avx512f", "avx_vnni", "avx512_vnni") if name in flags]
    model = fields.get("model name", platform.machine())
    return f"{model} ({' '.join(sets)}), {os.cpu_count()} cores, Python {platform.python_version()}"
