"""The generated parts of tracked pages."""

import pytest

from reference_pages.parts import generated_parts, marks, with_parts
from tests.support.quick_run import ROOT

PARTS = generated_parts()

BEGIN, END = marks("keys")


@pytest.mark.parametrize("page", PARTS)
def test_page_is_current(page):
    text = (ROOT / page).read_text()
    assert with_parts(text, PARTS[page]) == text, "run `make docs`"


def test_no_page_includes_an_untracked_file():
    for page in (ROOT / "docs").glob("*.md"):
        assert "{include}" not in page.read_text(), f"{page}: is incomplete without `make docs`"


def test_text_outside_the_marks_is_kept():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_parts(text, {"keys": "new\n"}) == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["# Page\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_missing_marks_are_an_error(text):
    with pytest.raises(ValueError, match="no marks for the generated part 'keys'"):
        with_parts(text, {"keys": "new"})
