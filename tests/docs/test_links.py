"""Links in the pages that the documentation build does not check."""

import re

import pytest

from tests.support.quick_run import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(text):
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_existing_files_and_headings(page):
    text = (ROOT / page).read_text()
    for path, anchor in LINK.findall(text):
        target = ROOT / path if path else ROOT / page
        assert target.exists(), f"{page}: {path}"
        assert not anchor or anchor in anchors(target.read_text()), f"{page}: {path}#{anchor}"


DOCS = sorted((ROOT / "docs").glob("*.md"))
MENTIONED = re.compile(
    r"`((?:base|dfkd|pipeline|targets|flows|benchmarks|tests|docs|examples)/[\w./-]*)`"
)


@pytest.mark.parametrize(
    "page", [*(ROOT / name for name in PAGES), *DOCS], ids=lambda path: path.name
)
def test_mentioned_files_and_folders_exist(page):
    made = {"docs/generated/", "docs/_build/index.html"}
    for path in set(MENTIONED.findall(page.read_text())) - made:
        assert (ROOT / path).exists(), f"{page.name}: {path}"
