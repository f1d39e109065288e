"""The files of a Jetson, and fake outputs of its commands."""

from targets.catalogue import device_detection
from targets.on_device import preflight

RELEASES = {
    "32.7.1": "# R32 (release), REVISION: 7.1, GCID: 29689809, BOARD: t186ref, EABI: aarch64, "
    "DATE: Wed Feb  2 21:33:23 UTC 2022",
    "35.4.1": "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, "
    "DATE: Tue Aug  1 19:57:35 UTC 2023",
    "36.4.3": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
    "DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia",
    "39.2.0": "# R39 (release), REVISION: 2.0, GCID: 45755727, BOARD: generic, EABI: aarch64, "
    "DATE: Mon Jun  1 09:28:48 PM UTC 2026",
}

MODE = "NVPM WARN: fan mode is not set!\nNV Power Mode: {}\n0\n"

CLOCKS = """SOC family:tegra234  Machine:NVIDIA Jetson Orin Nano Developer Kit
Online CPUs: 0-5
cpu0:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1510400 CurrentFreq=1510400
GPU MinFreq={0} MaxFreq=624750000 CurrentFreq={0}
Active GPU TPCs: 4
EMC MinFreq=204000000 MaxFreq=2133000000 CurrentFreq=2133000000 FreqOverride=0
"""


def write_jetson(
    monkeypatch,
    root,
    parts,
    l4t="36.4.3",
    cuda='{"cuda": {"version": "12.6.68"}}',
    mode="15W",
    clock_hz=306000000,
):
    """Write a device's files and fake the output of its commands; return the root folder."""
    tree = root / "proc" / "device-tree"
    tree.mkdir(parents=True)
    (tree / "compatible").write_text("\0".join((*parts, "nvidia,tegra234", "")))
    (root / "etc").mkdir()
    (root / "etc" / "nv_tegra_release").write_text(RELEASES[l4t])
    toolkit = root / "usr" / "local" / "cuda"
    toolkit.mkdir(parents=True)
    name = "version.json" if cuda.startswith("{") else "version.txt"
    (toolkit / name).write_text(cuda)
    (root / "proc" / "meminfo").write_text("MemAvailable:    5000000 kB\n")
    outputs = {"nvpmodel": MODE.format(mode), "jetson_clocks": CLOCKS.format(clock_hz)}
    for module in (device_detection, preflight):
        monkeypatch.setattr(module, "command_output", lambda command: outputs.get(command[0], ""))
    return root
