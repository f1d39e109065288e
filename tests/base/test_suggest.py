"""The end of an error message about an unknown name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.suggest import MAX_LISTED_NAMES, did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "expected"),
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
def test_did_you_mean_suggests_a_similar_name_or_lists_all(word, known, expected):
    assert did_you_mean(word, known) == expected


@given(st.text(), st.lists(st.text(), max_size=20))
def test_did_you_mean_offers_only_valid_names(word, known):
    ending = did_you_mean(word, known)
    assert bool(ending) == bool(known)
    if ending.startswith("; did you mean"):
        assert any(repr(name) in ending for name in known)
    elif ending and len(known) <= MAX_LISTED_NAMES:
        names = ending.removeprefix("; choose one of ").split(", ")
        assert ", ".join(names) == ", ".join({name.lower(): name for name in known}.values())
