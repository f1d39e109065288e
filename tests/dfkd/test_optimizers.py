import math

import pytest
import torch

from dfkd.composition import Adam, ConstantRate, CosineRate, Sgd, StepRate
from dfkd.optimizers import clip, gradient_norm, make_optimizer, rate_factor


def leaf(*values, gradient=None):
    parameter = torch.tensor(values, requires_grad=True)
    if gradient is not None:
        parameter.grad = torch.tensor(gradient)
    return parameter


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_constant_rate_stays(progress):
    assert rate_factor(Adam(0.1, policy=ConstantRate()), progress) == 1.0


@pytest.mark.parametrize("final", [0.0, 0.01, 0.5])
def test_cosine_rate_falls_from_one_to_final(final):
    optimizer = Adam(0.1, policy=CosineRate(final=final))
    assert rate_factor(optimizer, 0.0) == pytest.approx(1.0)
    assert rate_factor(optimizer, 0.5) == pytest.approx((1 + final) / 2)
    assert rate_factor(optimizer, 1 / 3) == pytest.approx(final + (1 - final) * 0.75)
    assert rate_factor(optimizer, 1.0) == pytest.approx(final)


def test_cosine_rate_agrees_with_torch():
    optimizer = Adam(0.1, policy=CosineRate(final=0.01))
    theirs = torch.optim.SGD([leaf(1.0)], 0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 10, eta_min=0.1 * 0.01)
    for step in range(11):
        assert 0.1 * rate_factor(optimizer, step / 10) == pytest.approx(schedule.get_last_lr()[0])
        theirs.step()
        schedule.step()


@pytest.mark.parametrize(
    ("progress", "factor"),
    [(0.0, 1.0), (0.39, 1.0), (0.4, 0.1), (0.79, 0.1), (0.8, 0.01), (1.0, 0.01)],
)
def test_step_rate_divides_by_ten_at_each_milestone(progress, factor):
    optimizer = Adam(0.1, policy=StepRate((0.4, 0.8)))
    assert rate_factor(optimizer, progress) == pytest.approx(factor)


def test_adam_has_the_described_numbers():
    made = make_optimizer(Adam(3e-3, betas=(0.5, 0.9), weight_decay=0.1), [leaf(1.0)])
    assert isinstance(made, torch.optim.Adam)
    (group,) = made.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-3, (0.5, 0.9), 0.1)


def test_sgd_has_the_described_numbers():
    description = Sgd(0.1, momentum=0.8, nesterov=True, weight_decay=5e-4)
    made = make_optimizer(description, [leaf(1.0)])
    assert isinstance(made, torch.optim.SGD)
    (group,) = made.param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.8, 5e-4)
    assert group["nesterov"]


@pytest.mark.parametrize("kind", [Adam, Sgd])
def test_group_rate_has_priority_over_given_and_described_rate(kind):
    groups = [{"params": [leaf(1.0)]}, {"params": [leaf(2.0)], "lr": 7.0}]
    made = make_optimizer(kind(0.1), groups, lr=0.25)
    assert [group["lr"] for group in made.param_groups] == [0.25, 7.0]
    assert make_optimizer(kind(0.1), [leaf(1.0)], lr=0.0).param_groups[0]["lr"] == 0.0


def test_gradient_norm_is_over_all_gradients_together():
    parameters = [leaf(0.0, 0.0, gradient=[3.0, 4.0]), leaf(0.0), leaf(0.0, gradient=[12.0])]
    assert gradient_norm(parameters).item() == pytest.approx(13.0)


def test_gradient_norm_without_gradients_is_zero():
    assert gradient_norm([leaf(0.0)]).item() == 0.0
    assert gradient_norm([]).item() == 0.0


def test_gradient_norm_of_non_finite_gradients_is_not_finite():
    assert math.isnan(gradient_norm([leaf(0.0, gradient=[math.nan])]).item())
    assert math.isinf(gradient_norm([leaf(0.0, gradient=[math.inf])]).item())


@pytest.mark.parametrize(("largest", "factor"), [(0.0, 1.0), (100.0, 1.0), (6.5, 0.5)])
def test_clip_scales_all_gradients_by_one_factor(largest, factor):
    parameters = [leaf(0.0, 0.0, gradient=[3.0, 4.0]), leaf(0.0), leaf(0.0, gradient=[12.0])]
    clip(parameters, Adam(0.1, clip=largest), gradient_norm(parameters))
    torch.testing.assert_close(parameters[0].grad, factor * torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(parameters[2].grad, factor * torch.tensor([12.0]))
    assert parameters[1].grad is None
