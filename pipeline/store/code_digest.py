"""The digest of the code a step runs: change the code, and the step is done again."""

import ast
import hashlib
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from base.errors import InputError
from base.file_digest import file_digest

OURS = ("base", "pipeline", "dfkd", "targets")


def factory_digest(architecture: str) -> str | None:
    """Tells versions of a factory (`package.module:factory`) apart; None for any other name.

    A factory of an installed distribution is known by its version, one of the user's own by the
    sources of its whole top-level package. Nothing is imported.

    Raises:
        InputError: When there is no such module.
    """
    if ":" not in architecture:
        return None
    top = architecture.split(":")[0].split(".")[0]
    for distribution in metadata.packages_distributions().get(top, []):
        return f"{distribution} {metadata.version(distribution)}"
    spec = find_spec(top) if top else None
    if spec is None or spec.origin is None:
        raise InputError(
            f"architecture {architecture}: no module {top!r} on the Python path; "
            "name its folder in PYTHONPATH, or install it"
        )
    if not spec.submodule_search_locations:
        return file_digest(Path(spec.origin))
    total = hashlib.sha256()
    for path in sorted(Path(spec.origin).parent.rglob("*.py")):
        total.update(f"{path.name}\0{file_digest(path)}".encode())
    return total.hexdigest()


@cache
def source_digest(module: str) -> str:
    """The sha256 over a module's source and that of all our modules it imports, at any depth.

    A table that lies beside a module under its name (catalogue.json) is part of its source.
    """
    total = hashlib.sha256()
    for name in sorted(_closure(module)):
        total.update(f"{name}\0".encode())
        total.update(_file(name).read_bytes())
        data = _file(name).with_suffix(".json")
        total.update(data.read_bytes() if data.exists() else b"")
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
