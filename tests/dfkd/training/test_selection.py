import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dfkd.training.selection import clean, lower_component


def confident(margin, count, classes=4):
    """Rows whose loss depends only on `margin`, each with another predicted class."""
    return margin * torch.eye(classes)[torch.arange(count) % classes]


@pytest.mark.parametrize("margin", [0.0, 1.0, 50.0, 1e4])
def test_equal_losses_select_all_images(margin):
    assert clean(confident(margin, 1).repeat(8, 1)).all()


def test_equal_certainty_of_different_classes_selects_all_images():
    assert clean(confident(1.0, 8)).all()


def test_zero_losses_with_rounding_select_all_images():
    rng = torch.Generator().manual_seed(0)
    logits = confident(16.0, 64) + 0.5 * torch.rand(64, 4, generator=rng)
    assert torch.nn.functional.cross_entropy(logits, logits.argmax(1)) < 1e-6
    assert clean(logits).all()


@pytest.mark.parametrize(("difference", "equal"), [(8e-6, True), (1.2e-5, False)])
def test_losses_that_differ_by_less_than_the_tolerance_are_equal(difference, equal):
    # Of four classes, the loss of a margin m is log(1 + 3 exp(-m)).
    low = math.log1p(3 * math.exp(-8.0))
    margin = math.log(3 / math.expm1(low + difference))
    logits = torch.cat([confident(8.0, 8).double(), confident(margin, 4).double()])
    expected = torch.arange(12) < (12 if equal else 8)
    assert torch.equal(clean(logits), expected)


@pytest.mark.parametrize(("sure", "unsure"), [(10, 6), (3, 29), (29, 3)])
def test_two_exact_groups_are_separated(sure, unsure):
    logits = torch.cat([confident(8.0, sure), confident(0.5, unsure)])
    expected = torch.arange(sure + unsure) < sure
    order = torch.randperm(sure + unsure, generator=torch.Generator().manual_seed(0))
    assert torch.equal(clean(logits[order]), expected[order])


def test_two_noisy_groups_are_separated():
    rng = torch.Generator().manual_seed(0)
    logits = torch.cat([confident(9.0, 40), confident(0.5, 20)])
    logits = logits + 0.1 * torch.randn(60, 4, generator=rng)
    assert torch.equal(clean(logits), torch.arange(60) < 40)


def test_selection_never_leaves_a_single_image():
    logits = torch.cat([confident(20.0, 1), confident(0.0, 15)])
    assert clean(logits).all()
    assert clean(logits[:1]).all()


def test_two_images_are_both_selected():
    assert clean(torch.tensor([[9.0, 0.0], [0.1, 0.0]])).all()


def test_mask_does_not_depend_on_a_shift_of_the_logits():
    rng = torch.Generator().manual_seed(3)
    logits = torch.cat([confident(6.0, 20), confident(0.5, 12)])
    logits = logits + 0.1 * torch.randn(32, 4, generator=rng)
    assert torch.equal(clean(logits), clean(logits + 5.0))


def test_selection_has_no_gradient():
    logits = torch.randn(8, 3, requires_grad=True)
    assert not clean(logits).requires_grad


NUMBERS = st.one_of(
    st.floats(-1e4, 1e4, width=32), st.sampled_from([-1e4, 1e4, 0.0]), st.floats(-1, 1, width=32)
)


@st.composite
def batches(draw):
    count, classes = draw(st.integers(2, 10)), draw(st.integers(2, 5))
    row = st.lists(NUMBERS, min_size=classes, max_size=classes)
    return torch.tensor(draw(st.lists(row, min_size=count, max_size=count)))


@given(batches())
def test_any_finite_logits_leave_at_least_two_images(logits):
    mask = clean(logits)
    assert mask.dtype == torch.bool
    assert mask.shape == (len(logits),)
    assert mask.sum() >= 2


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30).filter(lambda v: min(v) < max(v)))
def test_posteriors_are_probabilities(values):
    posterior = lower_component(torch.tensor(values, dtype=torch.double))
    assert posterior.isfinite().all()
    assert posterior.min() >= 0
    assert posterior.max() <= 1


@pytest.mark.parametrize(("first", "second"), [(0.04, 0.04), (0.03, 0.1), (0.06, 0.03)])
def test_lower_component_finds_a_known_mixture(first, second):
    rng = torch.Generator().manual_seed(0)
    low = 0.3 + first * torch.randn(1500, generator=rng, dtype=torch.double)
    high = 0.6 + second * torch.randn(500, generator=rng, dtype=torch.double)
    values = torch.cat([low, high])
    posterior = lower_component(values)

    def density(mean, spread, weight):
        # The fitted variance includes the floor of 5e-4.
        variance = spread**2 + 5e-4
        return weight * (-((values - mean) ** 2) / (2 * variance)).exp() / math.sqrt(variance)

    ours, theirs = density(0.3, first, 0.75), density(0.6, second, 0.25)
    torch.testing.assert_close(posterior, ours / (ours + theirs), atol=0.1, rtol=0.0)
    assert posterior.sum().item() == pytest.approx(1500, abs=15)


def test_lower_component_does_not_depend_on_the_order():
    values = torch.tensor([0.0, 0.05, 0.1, 0.9, 0.95, 1.0], dtype=torch.double)
    posterior = lower_component(values)
    assert (posterior[:3] > 0.99).all()
    assert (posterior[3:] < 0.01).all()
    torch.testing.assert_close(lower_component(values.flip(0)), posterior.flip(0))
