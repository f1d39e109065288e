import math

import pytest
import torch

from dfkd.composition import DifferenceEntropy
from dfkd.references import load
from dfkd.student_loss import OBJECTIVES
from dfkd.student_loss.feature_maps import attention_distance, stage_distance
from dfkd.student_loss.logits import difference_entropy, logit_l1, soft_kl


def test_logit_l1_by_hand():
    student, teacher = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    assert logit_l1(student, teacher).item() == pytest.approx(1.5)


def test_logit_l1_gradient_never_saturates():
    student, teacher = torch.tensor([[1.0, 2.0]], requires_grad=True), torch.tensor([[0.0, 4.0]])
    logit_l1(student, teacher).backward()
    torch.testing.assert_close(student.grad, torch.tensor([[0.5, -0.5]]))


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_soft_kl_by_hand(temperature):
    student, teacher = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1]])
    total = 0.0
    for ours, theirs in zip(student.tolist(), teacher.tolist(), strict=True):
        q = [math.exp(x / temperature) for x in ours]
        p = [math.exp(x / temperature) for x in theirs]
        for a, b in zip(p, q, strict=True):
            total += a / sum(p) * math.log((a / sum(p)) / (b / sum(q)))
    value = soft_kl(student, teacher, temperature)
    assert value.item() == pytest.approx(temperature**2 * total / 2, rel=1e-4)


def test_soft_kl_gradient_is_close_to_the_logit_difference_at_high_temperature():
    # Hinton et al. 2015, eq. 4: T * (softmax(s/T) - softmax(t/T)) per sample.
    student, teacher = torch.randn(6, 5, requires_grad=True), torch.randn(6, 5)
    soft_kl(student, teacher, 4.0).backward()
    expected = 4.0 * ((student / 4).softmax(1) - (teacher / 4).softmax(1)) / 6
    torch.testing.assert_close(student.grad, expected.detach())


def test_every_objective_is_least_for_equal_logits():
    logits = torch.randn(3, 4)
    for kind, function in OBJECTIVES.items():
        least = -(kind().temperature ** 2) * math.log(4) if kind is DifferenceEntropy else 0.0
        value = load(function)(logits, logits, **kind().logit_options)
        assert value.item() == pytest.approx(least, abs=1e-5)


def test_difference_entropy_by_hand():
    student, teacher = torch.zeros(2, 2), torch.tensor([[4.0, 0.0], [0.0, 0.0]])
    p = 1 / (1 + math.exp(-2.0))
    entropies = (-p * math.log(p) - (1 - p) * math.log(1 - p), math.log(2))
    value = difference_entropy(student, teacher, 2.0)
    assert value.item() == pytest.approx(-4 * sum(entropies) / 2)


def test_difference_entropy_ignores_constants_and_has_a_correct_gradient():
    temperature = 3.0
    student = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    teacher = torch.randn(3, 4, dtype=torch.double)
    shifted = difference_entropy(student + 7.0, teacher, temperature)
    torch.testing.assert_close(shifted, difference_entropy(student, teacher, temperature))
    assert torch.autograd.gradcheck(lambda s: difference_entropy(s, teacher, temperature), student)


def test_attention_distance_by_hand():
    # Channel means of squares are (1, 0) and (9, 16); both are scaled to unit length.
    ours = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(1, 2, 1, 2)
    theirs = torch.tensor([[3.0, 4.0], [-3.0, 4.0]]).view(1, 2, 1, 2)
    unit = [x / math.hypot(9.0, 16.0) for x in (9.0, 16.0)]
    expected = ((1 - unit[0]) ** 2 + unit[1] ** 2) / 2
    assert attention_distance([ours], [theirs]).item() == pytest.approx(expected)
    # Summed over layers.
    both = attention_distance([ours, ours], [theirs, theirs])
    assert both.item() == pytest.approx(2 * expected)


def test_attention_distance_ignores_scale_and_channels():
    teacher = torch.randn(2, 4, 3, 3)
    student = 5 * teacher.repeat(1, 2, 1, 1)
    assert attention_distance([student], [teacher]).item() == pytest.approx(0.0, abs=1e-10)
    assert attention_distance([student.flip(3)], [teacher]).item() > 1e-4


def test_attention_distance_gradient_by_finite_differences():
    student, teacher = torch.randn(2, 2, 2, 3).double().requires_grad_(), torch.randn(2, 3, 2, 3)
    assert torch.autograd.gradcheck(
        lambda s: attention_distance([s], [teacher.double()]), (student,)
    )


def test_attention_distance_needs_the_same_number_of_layers():
    maps = torch.ones(1, 1, 2, 2)
    with pytest.raises(ValueError, match="zip"):
        attention_distance([maps], [maps, maps])


def test_stage_distance_by_hand():
    ours = torch.tensor([[1.0, 0.0], [2.0, -2.0]]).view(2, 1, 1, 2)
    theirs = torch.tensor([[3.0, 0.0], [2.0, 1.0]]).view(2, 1, 1, 2)
    # Squared differences 4, 0, 0, 9 over squares 9, 0, 4, 1.
    assert stage_distance([ours], [theirs]).item() == pytest.approx(13 / 14)
    assert stage_distance([ours, theirs], [theirs, ours]).item() == pytest.approx(13 / 14 + 13 / 9)
    # The scale of a layer has no influence.
    assert stage_distance([10 * ours], [10 * theirs]).item() == pytest.approx(13 / 14)


def test_stage_distance_gradient_in_closed_form():
    student, teacher = torch.randn(2, 3, 2, 2).requires_grad_(), torch.randn(2, 3, 2, 2)
    stage_distance([student], [teacher]).backward()
    expected = 2 * (student.detach() - teacher) / teacher.square().sum()
    torch.testing.assert_close(student.grad, expected)
