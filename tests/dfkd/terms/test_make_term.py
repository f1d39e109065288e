import pytest
import torch
from torch import nn

from dfkd.needs import NEEDS
from dfkd.terms import STATEFUL, TERMS, make_term
from tests.dfkd.terms import synthesis

TEACHER = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


def test_every_term_says_what_it_needs():
    assert TERMS.keys() | STATEFUL.keys() == NEEDS.keys()
    assert not TERMS.keys() & STATEFUL.keys()


def test_options_reach_the_term():
    evenly = synthesis(torch.zeros(2, 100))
    assert make_term("class-balance", TEACHER, base=10.0)(evenly).item() == pytest.approx(-2.0)
    assert make_term("batch-norm-average", TEACHER, momentum=0.5).momentum == 0.5


def test_terms_with_a_state_do_not_share_it():
    first, second = (make_term("contrast", TEACHER, width=3) for _ in range(2))
    assert first.head is not second.head


@pytest.mark.parametrize("name", ["certainty", "class-balance", "contrast", "batch-norm-average"])
def test_an_option_that_the_term_does_not_have_is_refused_when_it_is_made(name):
    with pytest.raises(TypeError):
        make_term(name, TEACHER, nonsense=1.0)
