import pytest
import torch

from dfkd.objectives import logit_l1, soft_kl


def test_logit_l1_by_hand():
    student, teacher = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    assert logit_l1(student, teacher).item() == pytest.approx(1.5)


def test_soft_kl_gradient_is_close_to_the_logit_difference_at_high_temperature():
    # Hinton et al. 2015, eq. 4: T * (softmax(s/T) - softmax(t/T)) per sample.
    student, teacher = torch.randn(6, 5, requires_grad=True), torch.randn(6, 5)
    soft_kl(student, teacher, temperature=4.0).backward()
    expected = 4.0 * ((student / 4).softmax(1) - (teacher / 4).softmax(1)) / 6
    torch.testing.assert_close(student.grad, expected.detach())


def test_both_are_zero_on_a_twin():
    logits = torch.randn(3, 4)
    assert logit_l1(logits, logits).item() == 0
    assert soft_kl(logits, logits).item() == pytest.approx(0.0, abs=1e-6)
