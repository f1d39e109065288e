"""The libraries that a file is made with."""

from functools import cache
from importlib import metadata
from importlib.util import find_spec

from benchmarks.teacher_files.file import File

ALWAYS = ("onnx", "onnxruntime", "onnxscript", "safetensors", "torch", "torchvision")
"""Modules that this project needs."""


def missing(file: File) -> list[str]:
    """Return the modules that a file needs and that are not installed."""
    return [name for name in file.needs if find_spec(name) is None]


def versions(file: File) -> dict[str, str]:
    """Return the version of each library that a file is made with, by its name."""
    return dict(sorted(_version(name) for name in (*ALWAYS, *file.needs)))


@cache
def _version(module: str) -> tuple[str, str]:
    """Return the name and the version of the distribution that has a module."""
    found = metadata.distribution(_distributions()[module][0])
    return found.metadata["Name"], found.version


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
