"""README.md: its generated table and its length."""

import re

import pytest

from reference_pages.readme import BEGIN, END, paper, with_methods
from tests.support.quick_run import ROOT

README = ROOT / "README.md"

LONGEST = 900
"""Words of README.md, without code blocks and link targets."""


def test_table_of_methods_is_current():
    text = README.read_text()
    assert with_methods(text) == text, "run `make docs`"


def test_length_is_at_most_900_words():
    text = re.sub(r"```.*?```|<!--.*?-->", "", README.read_text(), flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    assert len(re.findall(r"[A-Za-z0-9][\w.,%±/-]*", text)) <= LONGEST


def test_text_outside_the_marks_is_kept():
    text = with_methods(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert text.startswith(f"before\n{BEGIN}\n| method |")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert "old" not in text


def test_missing_marks_are_an_error():
    with pytest.raises(ValueError, match="no marks for the table of methods"):
        with_methods("# README\n")


@pytest.mark.parametrize(
    ("citation", "expected"),
    [
        ("Ours. Terms: DAFL (Chen et al. 2019)", "ours"),
        ("Shin and Choi, Teacher, AAAI 2024, arXiv 2402.12406", "Shin and Choi 2024"),
        ("Somebody, in preparation", "Somebody"),
    ],
)
def test_paper_shows_authors_and_year(citation, expected):
    assert paper(citation) == expected
