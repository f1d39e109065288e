"""A temporary copy of the project."""

import shutil
import sys
from pathlib import Path

from tests.support.quick_run import ROOT

FOLDERS = (
    *("base", "dfkd", "targets", "pipeline", "flows"),
    *("benchmarks", "docs", "examples", "tests"),
)

FILES = ("Makefile", "README.md", "constraints.txt", "prefect.yaml", "pyproject.toml")


def copy_project(folder: Path) -> Path:
    """Copy what the documented commands need into a new folder, and return the folder."""
    skip = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    for name in FOLDERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=skip)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    _link_environment(folder / ".venv")
    return folder


def _link_environment(venv: Path) -> None:
    """Make `make` use the environment of the tests instead of installing one."""
    venv.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (venv / name).symlink_to(Path(sys.prefix, name))
    (venv / "installed").touch()
