import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import one_hot

from dfkd.recipe import RecipeError
from dfkd.terms.certainty import (
    activation,
    certainty,
    class_balance,
    entropy,
    label_certainty,
    soft_label,
)
from tests.dfkd.terms import draw


def gradient(term, logits, **more):
    logits = logits.clone().requires_grad_()
    term(logits, **more).backward()
    return logits.grad


def test_certainty_is_the_cross_entropy_of_the_argmax():
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    value = certainty(logits)
    assert value.item() == pytest.approx(math.log(1 + math.exp(-2.0)))


def test_certainty_gradient_is_softmax_minus_one_hot_over_the_batch():
    logits = draw(4, 3)
    expected = (logits.softmax(1) - one_hot(logits.argmax(1), 3)) / 4
    torch.testing.assert_close(gradient(certainty, logits), expected)


def test_label_certainty_uses_the_labels():
    logits, labels = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([1, 0])
    value = label_certainty(logits, labels=labels)
    surprise = math.log(1 + math.exp(-2.0))
    assert value.item() == pytest.approx((2 + surprise + surprise) / 2)


def test_label_certainty_gradient():
    logits, labels = draw(4, 3), torch.tensor([2, 0, 1, 2])
    expected = (logits.softmax(1) - one_hot(labels, 3)) / 4
    torch.testing.assert_close(gradient(label_certainty, logits, labels=labels), expected)


def test_soft_label_is_the_cross_entropy_of_softened_logits():
    logits, labels = draw(3, 4), draw(3, 4, seed=1).softmax(1)
    by_hand = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(x / 20) for x in row)
        by_hand -= sum(y * math.log(math.exp(x / 20) / total) for x, y in zip(row, label, strict=1))
    value = soft_label(logits, labels)
    assert value.item() == pytest.approx(by_hand / 3)


@pytest.mark.parametrize("temperature", [1.0, 20.0])
def test_soft_label_gradient(temperature):
    logits, labels = draw(3, 4), draw(3, 4, seed=1).softmax(1)

    def term(of, labels):
        return soft_label(of, labels, temperature)

    expected = ((logits / temperature).softmax(1) - labels) / (temperature * 3)
    torch.testing.assert_close(gradient(term, logits, labels=labels), expected)


@pytest.mark.parametrize("classes", [2, 10, 37])
def test_entropy_is_log_k_for_uniform_and_zero_for_certain_predictions(classes):
    assert entropy(torch.ones(3, classes)).item() == pytest.approx(math.log(classes))
    sure = 100.0 * torch.eye(classes)
    assert entropy(sure).item() == pytest.approx(0.0, abs=1e-6)


def test_entropy_gradient():
    # dH / dz_j = -p_j (log p_j + H), and the mean over the batch.
    logits = draw(3, 4)
    p = logits.softmax(1)
    own = -(p * p.log()).sum(1, keepdim=True)
    torch.testing.assert_close(gradient(entropy, logits), -p * (p.log() + own) / 3)


@pytest.mark.parametrize("classes", [2, 10, 37])
def test_class_balance_limits(classes):
    covered = 50.0 * torch.eye(classes)
    one_class = covered[:1].repeat(classes, 1)
    assert class_balance(covered).item() == pytest.approx(-math.log(classes), abs=1e-5)
    assert class_balance(one_class).item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(("classes", "value"), [(10, -1.0), (100, -2.0)])
def test_class_balance_to_base_ten_by_hand(classes, value):
    covered = 50.0 * torch.eye(classes)
    assert class_balance(covered, base=10.0).item() == pytest.approx(value, abs=1e-5)


def test_class_balance_base_is_a_factor_on_value_and_gradient():
    logits = draw(5, 4)
    natural, decimal = (class_balance(logits, base=base) for base in (math.e, 10.0))
    assert natural.item() == pytest.approx(decimal.item() * math.log(10))
    first = gradient(class_balance, logits)
    second = gradient(lambda of: class_balance(of, base=10.0), logits)
    torch.testing.assert_close(first, second * math.log(10))


def test_class_balance_uses_the_batch_mean():
    split = torch.tensor([[50.0, 0.0], [0.0, 50.0]])
    assert class_balance(split).item() == pytest.approx(-math.log(2))
    assert entropy(split).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("base", [math.e, 10.0])
def test_class_balance_gradient_by_finite_differences(base):
    logits = draw(3, 4).requires_grad_()
    assert gradcheck(lambda t: class_balance(t, base=base), (logits,))


def test_class_balance_is_finite_for_a_probability_of_zero():
    logits = torch.tensor([[1e4, 0.0], [1e4, 0.0]])
    assert class_balance(logits).item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(gradient(class_balance, logits)).all()


def test_activation_is_the_negative_mean_of_the_features():
    features = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]], requires_grad=True)
    value = activation(features)
    assert value.item() == pytest.approx(-1.0)
    value.backward()
    torch.testing.assert_close(features.grad, torch.full((2, 3), -1 / 6))


def test_activation_refuses_signed_features():
    features = torch.tensor([[0.5, -1e-3]])
    with pytest.raises(RecipeError, match="activation"):
        activation(features)
