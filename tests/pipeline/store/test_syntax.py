"""Syntax trees become the same text in all supported versions of Python."""

import ast
import json
import subprocess
import sys

import pytest

from pipeline.store.code_digest import code_digest
from pipeline.store.syntax import reachable, syntax_text
from tests.support.interpreters import interpreter
from tests.support.quick_run import ROOT

VERSIONS = ("3.10", "3.11", "3.12", "3.13")

SAMPLE = '''
"""A docstring with \\u00e9 and \\U0001fae8."""
from __future__ import annotations
import os.path as path, sys

x: int = 1
y = z = f"{x!r:>{x}} and {{}} {x=} {'nested'}" "more" f"{x:.2f}{x}"
w = "a" "b", b"c", 1e400, 10**30, 0x10, 1j, ..., None, True, "\\u00e9", "\\U0001fae8"

class Base(dict, metaclass=type):
    """A docstring."""
    a: "str"
    b: int = 3
    """A string below an attribute."""

    @property
    def c(self, /, d, *e, f=1, **g) -> list[int]:
        return [*e, *(v for v in e if v), lambda q, *, r=2: q + r, {**g, 1: 2}, {1, 2}]

async def h(i):
    async with i as j, i:
        async for k in j:
            await k
    try:
        yield (n := i)
    except (KeyError, ValueError) as error:
        raise RuntimeError(f"wrong: {error}") from None
    else:
        del n
    finally:
        global m

match x:
    case [1, *rest] if rest: pass
    case {"a": 1, **others}: pass
    case Base(a=1) | None: pass
    case _: pass

print(x[1:2, ::3], x if y else z, not x, -x, x < y <= z, x @ y, end="")
with open(x) as s, open(y): s.t = s.u[0]; s.v += 1
'''
"""Most of Python 3.10's syntax."""

PRINT = """
import ast, json, sys
from pipeline.store.code_digest import code_digest
from pipeline.store.syntax import syntax_text
sample, *steps = json.load(sys.stdin)
print(json.dumps([syntax_text(ast.parse(sample)), *map(code_digest, steps)]))
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_text_and_digests_agree_across_python_versions(version):
    files = (ROOT / "pipeline" / "steps").glob("[a-z]*.py")
    steps = [f"pipeline.steps.{file.stem}" for file in files]
    assert steps
    result = subprocess.run(
        [interpreter(version), "-c", PRINT],
        input=json.dumps([SAMPLE, *steps]),
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert json.loads(result.stdout) == [
        syntax_text(ast.parse(SAMPLE)),
        *(code_digest(step) for step in steps),
    ]


def test_this_python_is_among_the_versions_compared():
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in VERSIONS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = [1, 2]", "x = [1,\n     2,\n]"),
        ("def f(): pass", "def f():\n    'A docstring.'\n    pass"),
        ("x = 1\n'A string below.'", "x = 1"),
        ("x = 'a' 'b'", "x = 'ab'"),
        ("x = f'a{y}' 'b'", "x = f'a{y}b'"),
    ],
)
def test_text_is_the_same_for_equivalent_code(one, other):
    assert syntax_text(ast.parse(one)) == syntax_text(ast.parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 'a'", "x = b'a'"),
        ("f(x, y)", "f(y, x)"),
        ("f(x)", "f(*x)"),
        ("f(x=1)", "f(1)"),
        ("def f(a, b=1): pass", "def f(a, *, b=1): pass"),
        ("x = {**a, 'b': 1}", "x = {'b': 1}"),
        ("for a in b: pass", "async def c():\n    async for a in b: pass"),
        ("import a", "import a as b"),
        ("from a import b", "from .a import b"),
        ("if a: pass", "while a: pass"),
    ],
)
def test_text_differs_for_different_code(one, other):
    assert syntax_text(ast.parse(one)) != syntax_text(ast.parse(other))


def test_reachable_part_follows_names_and_keeps_statements_without_names():
    tree = ast.parse(
        "import used, unused\nimport other\nA = 1\nB = A\nC = 2\nsetup()\n"
        "def helper(): return B\ndef run(): return helper() + used.x\n"
    )
    text = ast.unparse(reachable(tree, "run"))
    assert text.splitlines()[0] == "import used, unused"
    for name in ("A = 1", "B = A", "setup()", "def helper", "def run"):
        assert name in text
    for name in ("import other", "C = 2"):
        assert name not in text
