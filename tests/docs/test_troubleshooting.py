"""The messages that docs/troubleshooting.md explains are messages of the code."""

import ast
import re

import pytest

from tests.support.quick_run import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()

HEADINGS = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)

PACKAGES = ("base", "dfkd", "pipeline", "targets", "flows")


def text_of(node):
    """The text of a string expression, with "..." for each formatted value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "..." for part in node.values)
    return ""


@pytest.fixture(scope="module")
def messages():
    found = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            found += map(text_of, ast.walk(ast.parse(path.read_text())))
    return "\n".join(found)


def test_page_explains_at_least_twenty_messages():
    assert len(HEADINGS) >= 20


@pytest.mark.parametrize("heading", HEADINGS)
def test_message_exists_in_the_code(heading, messages):
    parts = [part for part in re.split(r"\s*\.\.\.\s*", heading) if part]
    assert re.search(r"[^\n]*?".join(map(re.escape, parts)), messages), heading
