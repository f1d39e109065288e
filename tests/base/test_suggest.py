"""The end of every message about a name that is not known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.suggest import LISTED, instead_of


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("orinano", ["orin-nano", "thor"], "; did you mean 'orin-nano'?"),
        ("ResNet18", ["resnet34", "resnet18"], "; did you mean 'resnet18'?"),
        ("leNet", ["LeNet", "AlexNet"], "; did you mean 'LeNet'?"),
        ("xyz", ["steps", "images"], "; choose one of steps, images"),
        (
            "xyz",
            list("abcdefghijklmn"),
            "; choose one of a, b, c, d, e, f, g, h, i, j, k, l, ... (14 in all)",
        ),
        ("xyz", [], ""),
    ],
)
def test_what_is_said_instead(word, known, said):
    assert instead_of(word, known) == said


@given(st.text(), st.lists(st.text(), max_size=20))
def test_only_known_names_are_offered(word, known):
    said = instead_of(word, known)
    assert bool(said) == bool(known)
    if said.startswith("; did you mean"):
        assert any(repr(name) in said for name in known)
    elif said and len(known) <= LISTED:
        names = said.removeprefix("; choose one of ").split(", ")
        assert ", ".join(names) == ", ".join({name.lower(): name for name in known}.values())
