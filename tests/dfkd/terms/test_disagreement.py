import math

import pytest
import torch
from torch.autograd import gradcheck

from dfkd.terms.disagreement import agreement_label, difficulty_margin, disagreement_label
from tests.dfkd.terms import draw


def entropy(row):
    powers = [math.exp(x) for x in row]
    shares = [power / sum(powers) for power in powers]
    return -sum(share * math.log(share) for share in shares)


def test_difficulty_margin_by_hand():
    """One difficulty is 0.1 below the margin, one is 0.2 above it, and one is inside it."""
    difference = torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]).double()
    student = draw(3, 3)
    entropies = [entropy(row) for row in difference.tolist()]
    least = min(entropies)
    moved = [(e - least) / (math.log(3) - least) for e in entropies]
    assert (moved[0], moved[1]) == (0.0, pytest.approx(1.0))
    assert 0.1 < moved[2] < 0.8
    value = difficulty_margin(student + difference, student)
    assert value.item() == pytest.approx((0.1 + 0.2) / 3)


def test_difficulty_margin_options_are_used():
    difference = torch.tensor([[9.0, 0.0], [0.0, 0.0]]).double()
    student = draw(2, 2)
    value = difficulty_margin(student + difference, student, low=0.3, high=0.4)
    assert value.item() == pytest.approx((0.3 + 0.6) / 2)


def test_difficulty_margin_of_equal_logits_is_finite():
    logits = draw(4, 5)
    assert torch.isfinite(difficulty_margin(logits, logits))


def test_label_terms_by_hand():
    teacher, student = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.5, 1.5]])
    batch = teacher, student, torch.tensor([0])
    expected = math.log(1 + math.exp(-1.5 - 1.5))
    assert disagreement_label(*batch).item() == pytest.approx(expected)
    assert agreement_label(*batch).item() == pytest.approx(math.log(1 + math.exp(1.5 - 2.5)))


@pytest.mark.parametrize("term", [difficulty_margin, disagreement_label, agreement_label])
def test_gradient_by_finite_differences(term):
    both = draw(6, 3).mul(3).requires_grad_(), draw(6, 3, seed=1).mul(3).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    more = () if term is difficulty_margin else (labels,)
    assert gradcheck(lambda t, s: term(t, s, *more), both)
