"""Other Pythons of this machine, where it has them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def interpreter(version):
    """A Python of this version: one on the PATH that runs, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for path in filter(None, found):
        if not subprocess.run([path, "--version"], capture_output=True, check=False).returncode:
            return path
    # A machine need not have every Python; the skip names the one that is missing.
    pytest.skip(f"needs python{version}, on the PATH or from pyenv")
