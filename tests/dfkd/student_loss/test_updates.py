"""The losses of student steps against gradients by hand."""

import copy

import pytest
import torch
from torch import nn

from dfkd.composition import LogitL1, MetaStep, SoftKl, TwoSource
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.models import build
from dfkd.student_loss.meta_step import virtual_step
from dfkd.student_loss.updates import StudentObjective, step_loss
from tests.support.tiny import SPEC, weights

SOFT, L1 = SoftKl(temperature=2.0), LogitL1()
META = MetaStep(inner_lr=0.3)
FIRST_ORDER = MetaStep(inner_lr=0.3, first_order=True)


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(4, 3).double()


def labelled_batch(count, seed):
    torch.manual_seed(seed)
    return LabelledBatch(
        torch.randn(count, 4, dtype=torch.double), 2 * torch.randn(count, 3, dtype=torch.double)
    )


NEW, REPLAYED = labelled_batch(6, 1), labelled_batch(4, 2)


def gradients(student, objective, update, new=NEW, replayed=REPLAYED):
    student.zero_grad()
    step_loss(StudentObjective(student, objective), update, new, replayed).backward()
    return [p.grad.clone() for p in student.parameters()]


def answers(theta, images):
    return images @ theta[:12].view(3, 4).T + theta[12:]


def flat(student):
    return torch.cat([p.detach().flatten() for p in student.parameters()])


def kl(theta, given):
    """T^2 KL(teacher || student), batch mean; written out."""
    t = SOFT.temperature
    p = (given.logits / t).softmax(1)
    q = (answers(theta, given.images) / t).softmax(1)
    return t**2 * (p * (p.log() - q.log())).sum(1).mean()


def kl_gradient(theta, given):
    """d/d logits = T (q - p) / N; d/d weight = that transposed times images."""
    t = SOFT.temperature
    q = (answers(theta, given.images) / t).softmax(1)
    p = (given.logits / t).softmax(1)
    upper = t * (q - p) / len(given.images)
    return torch.cat([(upper.T @ given.images).flatten(), upper.sum(0)])


def differences(function, theta, step=1e-5):
    """Central differences."""
    result = torch.zeros_like(theta)
    for index in range(len(theta)):
        shift = torch.zeros_like(theta)
        shift[index] = step
        result[index] = (function(theta + shift) - function(theta - shift)) / (2 * step)
    return result


def close(ours, theirs):
    """The engine's losses are float32, so about six digits are left."""
    torch.testing.assert_close(torch.cat([g.flatten() for g in ours]), theirs, rtol=1e-4, atol=1e-6)


def test_kl_gradient_of_the_test_agrees_with_finite_differences():
    theta = flat(linear())
    torch.testing.assert_close(
        kl_gradient(theta, NEW), differences(lambda t: kl(t, NEW), theta), rtol=1e-6, atol=1e-8
    )


def test_without_update_new_and_replayed_images_are_one_batch():
    student = linear()
    ours = gradients(student, SOFT, None)
    close(ours, kl_gradient(flat(student), NEW.joined(REPLAYED)))
    # Ten images with equal weight.
    theta = flat(student)
    close(ours, 0.6 * kl_gradient(theta, NEW) + 0.4 * kl_gradient(theta, REPLAYED))


def test_without_update_logit_l1_gradient_by_hand():
    student = linear()
    both = NEW.joined(REPLAYED)
    signs = (student(both.images) - both.logits).sign().detach() / both.logits.numel()
    weight, bias = gradients(student, L1, None)
    torch.testing.assert_close(weight, signs.T @ both.images, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(bias, signs.sum(0), rtol=1e-5, atol=1e-7)


def test_two_source_adds_the_losses():
    student = linear()
    theta = flat(student)
    ours = gradients(student, SOFT, TwoSource(replay_weight=0.7))
    close(ours, kl_gradient(theta, NEW) + 0.7 * kl_gradient(theta, REPLAYED))


@pytest.mark.parametrize("update", [None, TwoSource(), META, FIRST_ORDER])
def test_every_update_of_one_source_is_the_objective(update):
    student = linear()
    close(gradients(student, SOFT, update, replayed=None), kl_gradient(flat(student), NEW))
    close(gradients(student, SOFT, update, new=None), kl_gradient(flat(student), REPLAYED))


def test_meta_step_loss_is_joint_loss_plus_replayed_loss_after_a_virtual_step():
    student = linear()
    theta = flat(student)
    stepped = theta - META.inner_lr * kl_gradient(theta, NEW)
    expected = kl(theta, NEW.joined(REPLAYED)) + kl(stepped, REPLAYED)
    loss = step_loss(StudentObjective(student, SOFT), META, NEW, REPLAYED)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_meta_step_gradient_by_finite_differences_and_by_the_hessian():
    student = linear()
    theta = flat(student)

    def objective(at):
        stepped = at - META.inner_lr * kl_gradient(at, NEW)
        return kl(at, NEW.joined(REPLAYED)) + kl(stepped, REPLAYED)

    ours = gradients(student, SOFT, META)
    close(ours, differences(objective, theta))
    # The chain rule: (1 - lr H) g(theta').
    hessian = torch.autograd.functional.hessian(lambda t: kl(t, NEW), theta)
    later = kl_gradient(theta - META.inner_lr * kl_gradient(theta, NEW), REPLAYED)
    chained = later - META.inner_lr * hessian @ later
    close(ours, kl_gradient(theta, NEW.joined(REPLAYED)) + chained)


def test_first_order_meta_step_ignores_the_curvature():
    student = linear()
    theta = flat(student)
    later = kl_gradient(theta - META.inner_lr * kl_gradient(theta, NEW), REPLAYED)
    ours = gradients(student, SOFT, FIRST_ORDER)
    close(ours, kl_gradient(theta, NEW.joined(REPLAYED)) + later)
    second = torch.cat([g.flatten() for g in gradients(student, SOFT, META)])
    distance = (torch.cat([g.flatten() for g in ours]) - second).norm()
    assert distance > 0.05 * second.norm()


def test_both_orders_agree_without_curvature():
    """Logit L1 of a linear student is linear piece by piece."""
    student = linear()
    second, first = gradients(student, L1, META), gradients(student, L1, FIRST_ORDER)
    for a, b in zip(second, first, strict=True):
        torch.testing.assert_close(a, b)


def test_meta_step_with_zero_inner_lr_adds_the_replayed_loss():
    student = linear()
    theta = flat(student)
    ours = gradients(student, SOFT, MetaStep(inner_lr=0.0))
    close(ours, kl_gradient(theta, NEW.joined(REPLAYED)) + kl_gradient(theta, REPLAYED))


def test_meta_step_logit_l1_gradient_by_hand():
    """One weight: theta' = theta - lr sign(theta - t_new); the rest is signs too."""
    student = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        student.weight.fill_(1.0)
    one = torch.ones(1, 1, dtype=torch.double)
    new, replayed = LabelledBatch(one, 3 * one), LabelledBatch(one, 1.2 * one)
    update = MetaStep(inner_lr=0.5)
    loss = step_loss(StudentObjective(student, L1), update, new, replayed)
    # (|1 - 3| + |1 - 1.2|) / 2 + |1.5 - 1.2|
    assert loss.item() == pytest.approx(1.1 + 0.3, rel=1e-6)
    loss.backward()
    # The gradient of the joint batch is -1, that of the replayed image at 1.5 is +1.
    assert student.weight.grad.item() == pytest.approx(0.0, abs=1e-6)


class MetaTestAlone(StudentObjective):
    """An objective without the loss on both batches together."""

    def distance(self, ours, theirs):
        if len(ours) == len(self.joined):
            return 0.0 * ours.sum()
        return super().distance(ours, theirs)


@pytest.mark.parametrize("architecture", ["lenet5-half", "lenet5-half-bn"])
@pytest.mark.parametrize("objective", [SOFT, L1], ids=["soft-kl", "logit-l1"])
@pytest.mark.parametrize("update", [META, FIRST_ORDER], ids=["second order", "first order"])
def test_meta_test_loss_has_a_gradient_for_every_parameter(architecture, objective, update):
    """In the published code its gradient was None for every tensor."""
    torch.manual_seed(0)
    student = build(architecture, SPEC, 10).train()
    new = LabelledBatch(torch.randn(6, *SPEC.shape), torch.randn(6, 10))
    replayed = LabelledBatch(torch.randn(3, *SPEC.shape), torch.randn(3, 10))
    meta_test = MetaTestAlone(student, objective)
    meta_test.joined = new.joined(replayed).images
    step_loss(meta_test, update, new, replayed).backward()
    for name, parameter in student.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_meta_step_differs_from_a_joint_step():
    students = []
    for update in (None, META, FIRST_ORDER):
        student = linear()
        optimizer = torch.optim.SGD(student.parameters(), 0.1)
        step_loss(StudentObjective(student, SOFT), update, NEW, REPLAYED).backward()
        optimizer.step()
        students.append(flat(student))
    assert not torch.allclose(students[0], students[1])
    assert not torch.allclose(students[0], students[2])
    assert not torch.allclose(students[1], students[2])


def test_virtual_step_changes_no_parameters_or_statistics():
    torch.manual_seed(0)
    student = build("lenet5-half-bn", SPEC, 10).train()
    copied = copy.deepcopy(student)
    new = LabelledBatch(torch.randn(6, *SPEC.shape), torch.randn(6, 10))
    replayed = LabelledBatch(torch.randn(3, *SPEC.shape), torch.randn(3, 10))
    step_loss(StudentObjective(student, SOFT), META, new, replayed).backward()
    copied(new.joined(replayed).images)
    assert torch.equal(weights(student), weights(copied))
    assert student.convnet.bn1.num_batches_tracked == 1


def test_virtual_student_is_in_train_mode():
    """Batch norm must use the statistics of the replayed batch."""
    torch.manual_seed(0)
    student = build("lenet5-half-bn", SPEC, 10).train()
    for _ in range(3):
        student(5 + torch.randn(8, *SPEC.shape))
    new = LabelledBatch(torch.randn(6, *SPEC.shape), torch.randn(6, 10))
    replayed = LabelledBatch(torch.randn(3, *SPEC.shape), torch.randn(3, 10))
    still = MetaStep(inner_lr=0.0)
    loss = step_loss(StudentObjective(copy.deepcopy(student), L1), still, new, replayed).item()
    copied = copy.deepcopy(student)
    both = new.joined(replayed)
    expected = (copied(both.images) - both.logits).abs().mean()
    expected += (copied(replayed.images) - replayed.logits).abs().mean()
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_virtual_step_is_differentiable_gradient_descent():
    student = linear()
    theta = dict(student.named_parameters())
    loss = (student(NEW.images) ** 2).mean()
    stepped = virtual_step(theta, loss, META)
    (weight_gradient, _) = torch.autograd.grad(loss, list(theta.values()))
    torch.testing.assert_close(stepped["weight"], theta["weight"] - 0.3 * weight_gradient)
    assert stepped["weight"].requires_grad
    assert torch.equal(theta["weight"], linear().weight)


def test_virtual_step_leaves_frozen_parameters():
    student = linear()
    student.bias.requires_grad_(False)
    step_loss(StudentObjective(student, SOFT), META, NEW, REPLAYED).backward()
    assert student.bias.grad is None
    assert student.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("compared", ["attention", "stages"])
def test_feature_maps_are_compared_with_their_weight(compared):
    torch.manual_seed(0)
    student = build("lenet5-half-bn", SPEC, 10).train()
    images, logits = torch.randn(4, *SPEC.shape), torch.randn(4, 10)
    maps = [torch.rand(4, 3, 28, 28), torch.rand(4, 8, 10, 10)]

    def loss(weight):
        objective = SoftKl(temperature=1.0, **{compared: weight})
        objective = StudentObjective(copy.deepcopy(student), objective)
        return step_loss(objective, None, LabelledBatch(images, logits, maps), None).item()

    plain, one, two = loss(0.0), loss(1.0), loss(2.0)
    assert one > plain
    assert two - plain == pytest.approx(2 * (one - plain), rel=1e-3)


@pytest.mark.parametrize("update", [None, TwoSource(), META])
def test_reduced_precision_leaves_a_float_loss_and_float_gradients(update):
    torch.manual_seed(0)
    student = build("lenet5-half-bn", SPEC, 10).train()
    new = LabelledBatch(torch.randn(6, *SPEC.shape), torch.randn(6, 10))
    replayed = LabelledBatch(torch.randn(3, *SPEC.shape), torch.randn(3, 10))
    loss = step_loss(StudentObjective(student, SOFT, torch.bfloat16), update, new, replayed)
    loss.backward()
    full = step_loss(StudentObjective(copy.deepcopy(student), SOFT), update, new, replayed)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(full.item(), rel=0.1)
    assert all(p.grad.dtype == torch.float32 for p in student.parameters())
