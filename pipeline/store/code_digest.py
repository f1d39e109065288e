"""The digest of the code that a step runs. A step is repeated when its code changes.

The digest covers the syntax trees of the step's module and of all modules that it imports. It
leaves out:

- comments, formatting and docstrings (all strings that are statements);
- literals and f-strings in `raise` statements;
- literals and f-strings in calls of `say` or `phase` on a name or attribute `reporter`;
- `if TYPE_CHECKING:` blocks;
- the declaration of a step, because its result is in the step's settings;
- the modules in `BY_VALUE`, `REPORTING` and `TABLES`.

It covers all other literals. It is the same in all supported versions of Python.
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
"""The packages that a digest covers. The settings of a step have the versions of others."""

BY_VALUE = frozenset(
    {
        "pipeline.config.schema",
        "pipeline.config.section",
        "pipeline.config.network_sections",
        "pipeline.config.input_section",
        "pipeline.config.sections",
        "pipeline.config.batch_limit",
        "pipeline.config.chosen_precision",
        "pipeline.config.chosen_recipes",
        "pipeline.config.gate_plan",
        "pipeline.config.recipe_checks",
        "pipeline.store.code_digest",
        "pipeline.store.syntax",
        "dfkd.recipe",
        "dfkd.recipes",
    }
)
"""Modules and packages that compute settings, recipes and digests. They are left out because a
step's key contains these results."""

REPORTING = frozenset({"pipeline.reporter"})
"""Left out because progress does not change results."""

TABLES = frozenset(
    f"dfkd.{package}.table"
    for package in ("models", "terms", "memory", "synthesizers", "student_loss")
)
"""Tables of parts. They are left out because a step's key contains the rows and the modules of the
parts that the step uses."""

ENTRY = "run"
"""The function in a step's module that the digest covers, with all that it uses."""


def factory_digest(architecture: str) -> str | None:
    """Return a digest of a user's factory, or None for any other architecture.

    A factory from an installed distribution is identified by the distribution's version, any other
    by the code of its whole top-level package. Nothing is imported.

    Args:
        architecture: `package.module:factory`, or the name of an architecture.

    Raises:
        InputError: If the module does not exist.
    """
    if ":" not in architecture:
        return None
    return _package_digest(_top(architecture.split(":")[0]), f"architecture {architecture}")


def _top(module: str) -> str:
    return module.split(".")[0]


def _package_digest(top: str, label: str) -> str:
    """Return the version of a top-level package's distribution, or a digest of its code.

    Args:
        top: The package, or a single module.
        label: What needs it, to begin an error message.

    Raises:
        InputError: If it does not exist.
    """
    for distribution in metadata.packages_distributions().get(top, []):
        return f"{distribution} {metadata.version(distribution)}"
    spec = find_spec(top) if top else None
    if spec is None or spec.origin is None:
        raise InputError(
            f"{label}: no module {top!r} on the Python path; "
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
    """Return the sha256 of the code of modules and of all project modules that they import.

    Of a module outside of the project, its whole top-level package is covered. A name that a
    package re-exports counts as imported from its own module. A JSON file with the name of a
    module, in the same folder, belongs to that module (catalogue.json).

    Args:
        modules: Full names.
    """
    project = [name for name in modules if _top(name) in PACKAGES]
    texts = [(name, _module_text(name)) for name in sorted(closure(*project))]
    others = sorted({_top(name) for name in modules} - {*PACKAGES})
    return _hashed([*texts, *((top, _package_digest(top, f"module {top}")) for top in others)])


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
    """Return the project modules that a module imports; for a package, also its re-exports."""
    pairs = imports(_tree(name))
    if _is_package(name):
        pairs += exports(_tree(name), name).values()
    return frozenset(module for pair in pairs for module in _sources(*pair))


def _sources(module: str, name: str) -> list[str]:
    """Return the project module that defines what `from module import name` imports.

    A package's `__init__` is returned only if it defines the name itself.
    """
    if _top(module) not in PACKAGES:
        return []
    if name and _find(f"{module}.{name}") is not None:
        return [f"{module}.{name}"]
    if _find(module) is None:
        return []
    if name and _is_package(module):
        re_exports = exports(_tree(module), module)
        if name in re_exports:
            return _sources(*re_exports[name])
    return [module]


@cache
def _tree(name: str) -> ast.Module:
    """Return the syntax tree of a module; for a step's module, only `run` and what it uses."""
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
