"""The digest of the code a step runs: change the code, and the step is done again."""

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import InputError
from pipeline.store import file_digest

OURS = ("pipeline", "dfkd", "targets")


def factory_digest(architecture: str) -> str | None:
    """The sha256 of the module that holds a user's factory (`package.module:factory`); else None.

    Raises:
        InputError: When there is no such module.
    """
    if ":" not in architecture:
        return None
    module = architecture.split(":")[0]
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise InputError(f"architecture {architecture}: no module {module} on the Python path")
    return file_digest(Path(spec.origin))


@cache
def source_digest(module: str) -> str:
    """The sha256 over a module's source and that of all our modules it imports, at any depth."""
    total = hashlib.sha256()
    for name in sorted(_closure(module)):
        total.update(f"{name}\0".encode())
        total.update(_file(name).read_bytes())
    return total.hexdigest()


def _closure(module: str) -> set[str]:
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return found


@cache
def _imports(module: str) -> list[str]:
    names = list[str]()
    for node in ast.walk(ast.parse(_file(module).read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    ours = [name for name in names if name.split(".")[0] in OURS]
    return [name for name in ours if _is_module(name)]


@cache
def _is_module(name: str) -> bool:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return False
    return spec is not None and spec.origin is not None


def _file(module: str) -> Path:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin)
