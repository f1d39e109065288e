import math

import pytest
import torch
from torch.autograd import gradcheck

from dfkd.terms.adversary import adversary, adversary_js, adversary_l1, adversary_while_agreed
from tests.dfkd.terms import draw


def gradients(term, teacher, student, **options):
    both = [logits.clone().requires_grad_() for logits in (teacher, student)]
    value = term(both[0], student_logits=both[1], **options)
    return torch.autograd.grad(value, both)


def js_by_hand(teacher, student, temperature, clamp, over_batch):
    """In the order of the published code: what KL(M || P) sums is M log(M / P)."""

    def softened(row):
        powers = [math.exp(x / temperature) for x in row]
        return [power / sum(powers) for power in powers]

    def limited(x):
        return min(max(x, clamp), 1 - clamp)

    total = 0.0
    for row, other in zip(teacher.tolist(), student.tolist(), strict=True):
        for q, p in zip(softened(row), softened(other), strict=True):
            middle = limited((p + q) / 2)
            total += middle * math.log(middle / limited(p)) / 2
            total += middle * math.log(middle / limited(q)) / 2
    divided = total / (len(teacher) if over_batch else teacher.numel())
    return 1 - min(max(divided, 0.0), 1.0)


@pytest.mark.parametrize("term", [adversary, adversary_l1, adversary_while_agreed])
def test_adversaries_are_largest_for_equal_networks(term):
    teacher = draw(5, 7)
    of_equals = term(teacher, student_logits=teacher).item()
    assert of_equals == pytest.approx(0.0, abs=1e-12)
    assert term(teacher, student_logits=0.5 * teacher).item() < of_equals - 0.01


@pytest.mark.parametrize("term", [adversary, adversary_l1, adversary_while_agreed, adversary_js])
def test_gradient_by_finite_differences_through_both_networks(term):
    teacher, student = draw(3, 4).requires_grad_(), draw(3, 4, seed=1).requires_grad_()
    assert gradcheck(lambda t, s: term(t, student_logits=s), (teacher, student))


def test_adversary_is_minus_kl():
    teacher, student = draw(5, 7), draw(5, 7, seed=1)
    p, q = teacher.softmax(1), student.softmax(1)
    by_hand = -(p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(adversary(teacher, student_logits=student), by_hand)


def test_adversary_gradient():
    teacher, student = draw(3, 4), draw(3, 4, seed=1)
    through_teacher, through_student = gradients(adversary, teacher, student)
    p, q = teacher.softmax(1), student.softmax(1)
    torch.testing.assert_close(through_student, (p - q) / 3)
    surprise = (p / q).log()
    expected = -p * (surprise - (p * surprise).sum(1, keepdim=True)) / 3
    torch.testing.assert_close(through_teacher, expected)


def test_adversary_l1_is_the_negative_mean_difference():
    teacher, student = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    assert adversary_l1(teacher, student_logits=student).item() == pytest.approx(-1.5)
    through_teacher, through_student = gradients(adversary_l1, teacher, student)
    torch.testing.assert_close(through_student, torch.tensor([[0.5, -0.5]]))
    torch.testing.assert_close(through_teacher, -through_student)


def test_adversary_while_agreed_ignores_images_with_different_predictions():
    teacher = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]], dtype=torch.double)
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 3.0]], dtype=torch.double)
    p, q = teacher.softmax(1), student.softmax(1)
    each = (p * (p / q).log()).sum(1)
    # The sum is over two images, the mean over all three.
    value = adversary_while_agreed(teacher, student_logits=student)
    torch.testing.assert_close(value, -(each[0] + each[2]) / 3)
    for gradient in gradients(adversary_while_agreed, teacher, student):
        assert (gradient[1] == 0).all()
        assert (gradient[[0, 2]] != 0).all()


@pytest.mark.parametrize("reduction", ["mean", "batchmean"])
@pytest.mark.parametrize("clamp", [0.01, 0.0, 0.1])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_adversary_js_by_hand(reduction, clamp, temperature):
    teacher, student = 2 * draw(3, 5), 2 * draw(3, 5, seed=1)
    value = adversary_js(
        teacher, student_logits=student, temperature=temperature, reduction=reduction, clamp=clamp
    )
    expected = js_by_hand(teacher, student, temperature, clamp, reduction == "batchmean")
    assert 0.0 < expected < 1.0
    assert value.item() == pytest.approx(expected)


def test_adversary_js_defaults_are_those_of_pre_dfkd():
    teacher, student = draw(3, 5), draw(3, 5, seed=1)
    expected = js_by_hand(teacher, student, temperature=3.0, clamp=0.01, over_batch=False)
    assert adversary_js(teacher, student_logits=student).item() == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 10])
def test_adversary_js_element_mean_is_k_times_weaker_than_batch_mean(classes):
    teacher, student = draw(6, classes), draw(6, classes, seed=1)
    by_element, by_image = (
        1 - adversary_js(teacher, student_logits=student, reduction=reduction).item()
        for reduction in ("mean", "batchmean")
    )
    assert by_image == pytest.approx(classes * by_element)
    weak, strong = (
        gradients(adversary_js, teacher, student, reduction=reduction)[1]
        for reduction in ("mean", "batchmean")
    )
    torch.testing.assert_close(strong, classes * weak)


def test_adversary_js_is_one_for_equal_networks_and_symmetric():
    teacher, student = draw(4, 5), draw(4, 5, seed=1)
    assert adversary_js(teacher, student_logits=teacher).item() == pytest.approx(1.0)
    first = adversary_js(teacher, student_logits=student)
    torch.testing.assert_close(first, adversary_js(student, student_logits=teacher))


def test_adversary_js_clamp_zeroes_the_gradient_of_small_probabilities():
    # Two hundred classes: near 0.005 each, all below 0.01.
    teacher, student = 0.1 * draw(4, 200), 0.1 * draw(4, 200, seed=1)
    for gradient in gradients(adversary_js, teacher, student):
        assert (gradient == 0).all()
    for gradient in gradients(adversary_js, teacher, student, clamp=0.0):
        assert gradient.norm() > 1e-8


def test_adversary_js_without_clamp_stays_finite_for_certain_answers():
    teacher, student = 1e4 * torch.eye(3), 1e4 * torch.eye(3).roll(1, 0)
    assert adversary_js(teacher, student_logits=student, clamp=0.0).isfinite()
    for gradient in gradients(adversary_js, teacher, student, clamp=0.0):
        assert gradient.isfinite().all()


def test_adversary_js_is_zero_beyond_the_outer_clip():
    teacher = torch.tensor([[90.0, 0.0]], dtype=torch.double)
    student = teacher.flip(1)
    # Each KL(M || P) is about log(0.5 / 1) / 2 + log(0.5 / 0.01) / 2, well above one.
    assert adversary_js(teacher, student, reduction="batchmean").item() == 0.0
    for gradient in gradients(adversary_js, teacher, student, reduction="batchmean"):
        assert (gradient == 0).all()
