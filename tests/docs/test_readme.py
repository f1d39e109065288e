"""README.md: the papers in its table and its length."""

import re

import pytest

from reference_pages.readme import paper
from tests.support.quick_run import ROOT

README = ROOT / "README.md"

LONGEST = 900
"""Words of README.md, without code blocks and link targets."""


def test_length_is_at_most_900_words():
    text = re.sub(r"```.*?```|<!--.*?-->", "", README.read_text(), flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    assert len(re.findall(r"[A-Za-z0-9][\w.,%±/-]*", text)) <= LONGEST


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
