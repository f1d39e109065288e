"""Python's syntax trees as text that is the same in all supported versions of Python."""

import ast
from collections.abc import Iterator

IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
"""Fields that change nothing, or that only some versions of Python fill."""

REPORTER_CALLS = frozenset({"say", "phase"})
"""Methods of a reporter."""

LITERAL = "literal"
"""Stands for any literal whose value does not count."""


def syntax_text(tree: ast.AST) -> str:
    """Return a syntax tree as text, without what does not change a program's results.

    Left out are positions, comments, docstrings, `if TYPE_CHECKING:` blocks, and the values of
    literals and f-strings in `raise` statements and reporter calls.
    """
    return _text(tree, values=True)


def _text(value: object, values: bool) -> str:
    """Return the text of a node, of a list of nodes, or of a field's plain value.

    Args:
        value: What to write.
        values: Whether the values of literals count.
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
        return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
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
    """Return an f-string's parts: versions differ in where they split its text."""
    parts: list[ast.expr] = []
    for part in joined.values:
        last = parts[-1] if parts else None
        if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
            parts[-1] = ast.Constant(last.value + part.value)
        elif not isinstance(part, ast.Constant) or part.value:
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


def imported_modules(tree: ast.Module) -> list[str]:
    """Return all names that a module imports from, at any depth of nesting.

    `from a import b` gives "a" and "a.b": b may be a module.
    """
    names = list[str]()
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes below a node but for those in `if TYPE_CHECKING:` blocks."""
    for child in ast.iter_child_nodes(node):
        if not _is_ignored(child):
            yield child
            yield from _executed(child)
