"""Check that a worker's Python has what a run needs."""

import sys
from importlib.util import find_spec

from base.errors import InputError

NEEDED = ("numpy", "onnx", "onnxruntime", "safetensors", "torch", "nncf", "onnxscript")
"""Modules that Prefect does not bring with it."""


def require_installed() -> None:
    """Refuse a Python in which the extra `train` of this project is not installed.

    A flow's file calls it before it imports anything that needs one of these modules: the import
    would name only the first one, and not say what to do.

    Raises:
        InputError: If a module is missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"worker: {sys.executable} has no {', '.join(missing)}; start the worker with a Python "
            "in which datafree-edge[train,flows] is installed, or install it there with pip"
        )
