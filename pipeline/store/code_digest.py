"""The digest of the code that a step runs. A step is repeated when its code changes.

What counts is the syntax tree, so that these may change without a step being repeated:

- comments, formatting and docstrings (any string that stands alone as a statement);
- literals and f-strings in a `raise` statement;
- literals and f-strings in a call of `say` or `phase` on something called `reporter`;
- a module's `if TYPE_CHECKING:` blocks;
- the declaration of a step: what it decides is in the step's settings;
- the modules in `BY_VALUE`, `REPORTING` and `TABLES`.

Every other literal counts. The digest is the same in all supported versions of Python.
"""

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from base.errors import InputError
from pipeline.store.syntax import bound_names, exports, imports, reachable, syntax_text

PACKAGES = ("base", "pipeline", "dfkd", "targets")
"""The packages whose code belongs to a digest; others belong to it by their version."""

BY_VALUE = frozenset(
    {
        "pipeline.config.schema",
        "pipeline.config.sections",
        "pipeline.config.chosen_recipes",
        "pipeline.config.recipe_checks",
        "pipeline.store.code_digest",
        "pipeline.store.syntax",
        "dfkd.recipe",
        "dfkd.recipes",
    }
)
"""Excluded, with all modules in them: they decide what a run's settings, recipes and digests are,
and a step's key holds those."""

REPORTING = frozenset({"pipeline.reporter"})
"""Excluded: progress changes no result."""

TABLES = frozenset(
    f"dfkd.{package}.table"
    for package in ("models", "terms", "memory", "synthesizers", "student_loss")
)
"""Excluded: they list parts. A step's key holds the rows and modules of the parts that it uses."""

ENTRY = "run"
"""The function of a step's module whose code counts."""


def factory_digest(architecture: str) -> str | None:
    """Return a digest of a user's factory, or None for any other architecture.

    A factory from an installed distribution is identified by the distribution's version; one of
    the user's own by the code of its whole top-level package. Nothing is imported.

    Args:
        architecture: `package.module:factory`, or the name of an architecture.

    Raises:
        InputError: If the module does not exist.
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
            "add its folder to PYTHONPATH, or install it"
        )
    source = Path(spec.origin)
    if not spec.submodule_search_locations:
        return _hashed([(source.name, _source_text(source))])
    files = sorted(source.parent.rglob("*.py"))
    return _hashed((str(f.relative_to(source.parent)), _source_text(f)) for f in files)


def _source_text(file: Path) -> str:
    """Return a file's syntax as text, or the file itself if this Python cannot parse it."""
    content = file.read_bytes()
    try:
        return syntax_text(ast.parse(content))
    except (SyntaxError, ValueError, RecursionError):
        return content.decode(errors="replace")


def code_digest(*modules: str) -> str:
    """Return the sha256 of the code of modules and of all our modules that they import.

    What a package passes on from its modules counts as imported from there.

    Of a step's module only `run` counts, and what `run` uses. A JSON file beside a module under
    the same name (catalogue.json) belongs to that module.

    Args:
        modules: Full names.
    """
    return _hashed((name, _module_text(name)) for name in sorted(closure(*modules)))


def closure(*modules: str) -> set[str]:
    """Return the modules whose code `code_digest` covers."""
    found, waiting = set[str](), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and not _is_excluded(name):
            found.add(name)
            waiting += _imports(name)
    return found


def _is_excluded(name: str) -> bool:
    package = name.rpartition(".")[0]
    return bool({name, package} & BY_VALUE) or name in REPORTING | TABLES


def _hashed(texts: Iterable[tuple[str, str]]) -> str:
    total = hashlib.sha256()
    for name, text in texts:
        total.update(f"{name}\0{text}\0".encode(errors="surrogatepass"))
    return total.hexdigest()


@cache
def _module_text(name: str) -> str:
    table = _file(name).with_suffix(".json")
    content = json.dumps(json.loads(table.read_text()), sort_keys=True) if table.exists() else ""
    return syntax_text(_tree(name)) + content


@cache
def _imports(name: str) -> frozenset[str]:
    """Return our modules that a module's code comes from; of a package, all that it passes on."""
    pairs = imports(_tree(name))
    if _is_package(name):
        pairs += exports(_tree(name), name).values()
    return frozenset(module for pair in pairs for module in _sources(*pair))


def _sources(module: str, name: str) -> list[str]:
    """Return the module that `from module import name` takes a name from.

    The `__init__` of a package counts only where it defines the name itself.
    """
    if module.split(".")[0] not in PACKAGES:
        return []
    if name and _find(f"{module}.{name}") is not None:
        return [f"{module}.{name}"]
    if _find(module) is None:
        return []
    if name and _is_package(module):
        passed_on = exports(_tree(module), module)
        if name in passed_on:
            return _sources(*passed_on[name])
    return [module]


@cache
def _tree(name: str) -> ast.Module:
    """Return what counts of a module: of one that declares a step, only what `run` uses."""
    tree = ast.parse(_file(name).read_bytes())
    names = {bound for statement in tree.body for bound in bound_names(statement)}
    return reachable(tree, ENTRY) if {"STEP", ENTRY} <= names else tree


def _is_package(name: str) -> bool:
    return _file(name).name == "__init__.py"


def _file(name: str) -> Path:
    found = _find(name)
    assert found is not None, name
    return found


@cache
def _find(name: str) -> Path | None:
    """Return a module's file. Only its top-level package is looked up, and nothing is imported."""
    top, *rest = name.split(".")
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        return None
    base = Path(spec.origin)
    if not rest:
        return base
    path = base.parent.joinpath(*rest)
    files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((file for file in files if file.is_file()), None)
