"""Other Pythons: versions that are installed on this machine, and one that lacks modules."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path

import pytest


def interpreter(version):
    """Return a Python of this version, from PATH or pyenv; skip the test if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for path in filter(None, found):
        if not subprocess.run([path, "--version"], capture_output=True, check=False).returncode:
            return path
    pytest.skip(f"needs python{version}, on the PATH or from pyenv")


def python_without(modules: Collection[str], folder: Path) -> Path:
    """Make an environment in `folder` that lacks some modules and this project; return its Python.

    It has links to all other packages of the present environment.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    shown = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", shown], check=True, capture_output=True, text=True)
    packages = Path(found.stdout.strip())
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        # An editable install adds its project to the path with a .pth file.
        if path.suffix != ".pth" and path.stem not in modules:
            (packages / path.name).symlink_to(path)
    return python
