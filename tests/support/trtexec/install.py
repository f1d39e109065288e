"""Install the stand-in for trtexec, and describe the stand-in device."""

import os
import stat
import sys
from pathlib import Path

from targets.catalogue.device_detection import Device
from targets.tensorrt.options import Options

INT8 = Options("int8", "weak", batch=1, largest=8)

DEVICE = Device(
    target="orin-nano-8",
    l4t="36.4.3",
    jetpack="6.1",
    cuda="12.6",
    compute_capability="8.7",
    power_mode="15W",
    opset=20,
)


def install_trtexec_stand_in(monkeypatch, folder, version):
    """Put the stand-in on the PATH as `trtexec` of a TensorRT version, and set an empty HOME.

    It starts without installed packages, which takes a fifth of the time.
    """
    monkeypatch.setenv("HOME", str(folder / "home"))
    program = folder / "bin" / "trtexec"
    program.parent.mkdir(exist_ok=True)
    script = Path(__file__).with_name("trtexec_stand_in.py")
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{script}" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN_VERSION", version)
