"""The table of normalizations that are warned of."""

import pytest
from safetensors.torch import load_file

from benchmarks.input_checks import OWN, measure, render
from dfkd.models import build
from tests.support.quick_run import ROOT
from tests.support.tiny import MNIST


@pytest.fixture(scope="module")
def rows():
    network = build("lenet5-bn", MNIST, 10)
    network.load_state_dict(load_file(ROOT / "benchmarks/teachers/lenet5-bn/teacher.safetensors"))
    return list(measure("lenet5-bn", network.eval().requires_grad_(False), MNIST))


def test_true_normalization_is_never_warned_of_and_a_wrong_scale_always(rows):
    assert [row["true"] for row in rows] == [OWN, "0..1", "0..255"]
    assert not any(row["cells"][row["true"]]["warned"] for row in rows)
    assert all(rows[index]["cells"]["0..255"]["warned"] for index in (0, 1))
    assert rows[2]["cells"]["0..1"]["warned"]


def test_page_counts_the_warnings(rows):
    page = render(rows)
    assert "The true normalization is warned of: 0 of 3." in page
    assert "are warned of: 3 of 3." in page
    assert "| lenet5-bn | own | 1.04, " in page
