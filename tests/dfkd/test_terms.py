"""Values and gradients of the generator's terms, against closed forms."""

import math

import pytest
import torch
from dfkd.statistics import LayerStatistics
from torch.nn.functional import kl_div, log_softmax, one_hot

from dfkd.terms import TERMS, Synthesis


def synthesis(teacher, student=None, labels=None, statistics=()):
    images = torch.zeros(len(teacher), 1, 2, 2)
    return Synthesis(images, teacher, list(statistics), student, labels)


def gradient(name, logits, **more):
    logits = logits.clone().requires_grad_()
    TERMS[name].compute(synthesis(logits, **more)).backward()
    return logits.grad


def test_certainty_is_the_cross_entropy_of_the_argmax():
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    value = TERMS["certainty"].compute(synthesis(logits))
    assert value.item() == pytest.approx(math.log(1 + math.exp(-2.0)))
    # d CE / d logits = (softmax - onehot) / N
    expected = (logits.softmax(1) - one_hot(logits.argmax(1), 2)) / 2
    torch.testing.assert_close(gradient("certainty", logits), expected)


def test_label_certainty_follows_the_labels():
    logits = torch.tensor([[2.0, 0.0]])
    value = TERMS["label-certainty"].compute(synthesis(logits, labels=torch.tensor([1])))
    assert value.item() == pytest.approx(2 + math.log(1 + math.exp(-2.0)))


@pytest.mark.parametrize("classes", [2, 10, 37])
def test_class_balance_ends(classes):
    covered = 50.0 * torch.eye(classes)
    one_class = covered[:1].repeat(classes, 1)
    compute = TERMS["class-balance"].compute
    assert compute(synthesis(covered)).item() == pytest.approx(-math.log(classes), abs=1e-5)
    assert compute(synthesis(one_class)).item() == pytest.approx(0.0, abs=1e-5)


def test_class_balance_gradient_by_finite_differences():
    logits = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda t: TERMS["class-balance"].compute(synthesis(t)), (logits,)
    )


def test_class_balance_survives_a_probability_of_zero():
    grad = gradient("class-balance", torch.tensor([[1e4, 0.0], [1e4, 0.0]]))
    assert torch.isfinite(grad).all()


def test_adversary_is_minus_kl_and_zero_on_a_twin():
    teacher, student = torch.randn(5, 7), torch.randn(5, 7)
    compute = TERMS["adversary"].compute
    p = teacher.softmax(1)
    by_hand = -(p * (p.log() - student.log_softmax(1))).sum(1).mean()
    torch.testing.assert_close(compute(synthesis(teacher, student)), by_hand)
    assert compute(synthesis(teacher, teacher)).item() == pytest.approx(0.0, abs=1e-6)


def test_adversary_reaches_the_images_through_both_networks():
    teacher = torch.randn(3, 4, requires_grad=True)
    student = torch.randn(3, 4, requires_grad=True)
    TERMS["adversary"].compute(synthesis(teacher, student)).backward()
    assert teacher.grad.abs().sum() > 0
    # d(-KL) / d student = (p_T - p_S) / N
    torch.testing.assert_close(student.grad, (teacher.softmax(1) - student.softmax(1)).detach() / 3)
    assert kl_div(log_softmax(student, 1), teacher.softmax(1), reduction="batchmean") > 0


def test_batch_norm_counts_in_units_of_the_stored_deviation():
    layer = LayerStatistics(
        mean=torch.tensor([3.0]),
        variance=torch.tensor([16.0]),
        stored_mean=torch.tensor([1.0]),
        stored_variance=torch.tensor([4.0]),
    )
    # ((3 - 1) / 2)^2 + (4 / 2 - 1)^2 = 2, and the mean of two equal layers is the same.
    compute = TERMS["batch-norm"].compute
    for layers in ([layer], [layer, layer]):
        assert compute(synthesis(torch.zeros(1, 2), statistics=layers)).item() == pytest.approx(2.0)
