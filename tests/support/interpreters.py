"""Other Python versions that are installed on this machine."""

import os
import shutil
import subprocess
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
