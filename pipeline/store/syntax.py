"""Python's syntax trees as text that is the same in all supported versions of Python."""

import ast
from collections.abc import Iterator

IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
"""Fields without effect, or that only some versions of Python fill."""

REPORTER_CALLS = frozenset({"say", "phase"})
"""Methods of a reporter."""

LITERAL = "literal"
"""Replaces every literal whose value is left out."""


def syntax_text(tree: ast.AST) -> str:
    """Return a syntax tree as text.

    Positions, comments, docstrings and `if TYPE_CHECKING:` blocks are left out, and so are the
    values of literals and f-strings in `raise` statements and reporter calls.
    """
    return _text(tree, values=True)


def _text(value: object, values: bool) -> str:
    """Return the text of a node, of a list of nodes, or of a field's plain value.

    Args:
        value: What to write.
        values: Whether to write the values of literals.
    """
    if isinstance(value, list):
        return f"[{','.join(_text(v, values) for v in value if not _is_ignored(v))}]"
    if not isinstance(value, ast.AST):
        return ascii(value)
    if isinstance(value, ast.Raise) or _is_reporter_call(value):
        values = False
    if isinstance(value, (ast.Constant, ast.JoinedStr)) and not values:
        return LITERAL
    if isinstance(value, ast.Constant):
        return f"{type(value.value).__name__} {value.value!a}"
    if isinstance(value, ast.JoinedStr):
        return f"JoinedStr[{','.join(_text(part, values) for part in _parts(value))}]"
    fields = ((name, getattr(value, name, None)) for name in sorted(value._fields))
    # Versions differ in the optional fields that they have: an empty field counts as a missing one.
    filled = [(n, v) for n, v in fields if n not in IGNORED_FIELDS and v is not None and v != []]
    return f"{type(value).__name__}({','.join(f'{n}={_text(v, values)}' for n, v in filled)})"


def _is_ignored(statement: object) -> bool:
    """Return whether a statement is a string, such as a docstring, or is for type checkers."""
    if isinstance(statement, ast.Expr):
        return _string(statement.value) is not None
    return isinstance(statement, ast.If) and _is_for_type_checkers(statement)


def _is_for_type_checkers(statement: ast.If) -> bool:
    test = statement.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING" and not statement.orelse


def _is_reporter_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    receiver = node.func.value
    name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
    return name == "reporter" and node.func.attr in REPORTER_CALLS


def _parts(joined: ast.JoinedStr) -> list[ast.expr]:
    """Return an f-string's parts, adjacent texts joined: versions split them differently."""
    parts: list[ast.expr] = []
    for part in joined.values:
        text, last = _string(part), _string(parts[-1]) if parts else None
        if text is not None and last is not None:
            parts[-1] = ast.Constant(last + text)
        elif text != "":
            parts.append(part)
    return parts


def bound_names(statement: ast.stmt) -> set[str]:
    """Return the names that a top-level statement defines or imports."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.split(".")[0] for alias in statement.names}
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def reachable(tree: ast.Module, entry: str) -> ast.Module:
    """Return the part of a module that a function can reach.

    Args:
        tree: The module.
        entry: The name of the function.

    Returns:
        The function, the statements that define what it uses, at any depth, and the statements
        that define no name.
    """
    waiting, used = {entry}, set[str]()
    kept = {id(s) for s in tree.body if not bound_names(s)}
    while waiting:
        used |= waiting
        statements = [s for s in tree.body if bound_names(s) & waiting]
        kept |= {id(s) for s in statements}
        names = {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)}
        waiting = names - used
    return ast.Module([s for s in tree.body if id(s) in kept], [])


def imports(tree: ast.Module) -> list[tuple[str, str]]:
    """Return the (module, name) pairs that a module imports, at any depth of nesting.

    `import a.b` gives ("a.b", ""). Relative imports are left out: the project has none.
    """
    return [pair for node in _executed(tree) for pair in _imported(node)]


def exports(tree: ast.Module, package: str) -> dict[str, tuple[str, str]]:
    """Return the names that a package's `__init__` re-exports, each with its (module, name).

    They are imported (also in `if TYPE_CHECKING:`), or listed in a dictionary for a module-level
    `__getattr__`: {"name": "package.module:name"}, or {"name": "module"} in the same package.

    Args:
        tree: The `__init__`.
        package: The package's full name.
    """
    found = dict[str, tuple[str, str]]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                exported, source = _string(key), _string(value)
                if exported and source:
                    module, _, name = source.partition(":")
                    found[exported] = (module, name) if name else (f"{package}.{module}", exported)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {a.asname or a.name: (node.module, a.name) for a in node.names}
    return found


def _string(node: ast.AST | None) -> str | None:
    """Return the value of a string, or None for any other node."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


def _imported(node: ast.AST) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [(alias.name, "") for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        return [(node.module, alias.name) for alias in node.names]
    return []


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes below a node but for those in `if TYPE_CHECKING:` blocks."""
    for child in ast.iter_child_nodes(node):
        if not _is_ignored(child):
            yield child
            yield from _executed(child)
