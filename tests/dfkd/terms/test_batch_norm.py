import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.distributions import Normal, kl_divergence

from dfkd.models.forward_pass import LayerStatistics
from dfkd.terms.batch_norm import (
    batch_norm,
    batch_norm_kl,
    batch_norm_l2,
    batch_norm_mse,
    batch_norm_of_images,
)
from dfkd.terms.batch_norm_average import BatchNormAverage
from tests.dfkd.terms import draw, layer

TEACHER = nn.Sequential(nn.BatchNorm2d(3))


def of(*layers):
    return list(layers)


def single(mean, variance, stored_mean, stored_variance):
    """One image and one channel, so that the batch's statistics are the image's."""
    values = (torch.tensor([v], dtype=torch.double) for v in (stored_mean, stored_variance))
    means, variances = (torch.tensor([[v]], dtype=torch.double) for v in (mean, variance))
    return LayerStatistics(means, variances, *values)


def stored(channels, seed=7):
    return draw(channels, seed=seed), draw(channels, seed=seed + 1).exp()


def random_layer(channels=3, seed=0):
    return layer(draw(4, channels, 2, 2, seed=seed), *stored(channels))


@pytest.mark.parametrize("term", [batch_norm, batch_norm_l2, batch_norm_kl, batch_norm_mse])
def test_distances_are_zero_for_equal_statistics_only(term):
    inputs = draw(4, 3, 2, 2)
    mean, variance = inputs.mean((0, 2, 3)), inputs.var((0, 2, 3), unbiased=False)
    assert term(of(layer(inputs, mean, variance))).item() == pytest.approx(0.0, abs=1e-12)
    assert term(of(layer(inputs, mean + 0.5, variance))).item() > 0.01
    assert term(of(layer(inputs, mean, 2 * variance))).item() > 0.01


@pytest.mark.parametrize("term", [batch_norm, batch_norm_l2, batch_norm_kl, batch_norm_mse])
def test_gradient_by_finite_differences(term):
    first, second = draw(3, 2, 2, 2).requires_grad_(), draw(3, 3, 2, 1, seed=1).requires_grad_()

    def value(a, b):
        return term(of(layer(a, *stored(2)), layer(b, *stored(3))))

    assert gradcheck(value, (first, second))


def test_batch_norm_is_relative_to_the_stored_deviation():
    # ((3 - 1) / 2)^2 + (4 / 2 - 1)^2 = 2, and the mean of two equal layers is the same.
    one = single(mean=3.0, variance=16.0, stored_mean=1.0, stored_variance=4.0)
    for layers in ([one], [one, one]):
        assert batch_norm(of(*layers)).item() == pytest.approx(2.0)


def test_batch_norm_averages_over_channels_then_layers():
    near = single(0.0, 1.0, 0.0, 1.0)
    wide = LayerStatistics(
        torch.tensor([[3.0, 0.0]]), torch.ones(1, 2), torch.zeros(2), torch.ones(2)
    )
    # Channels (9 + 0) / 2, layers (4.5 + 0) / 2.
    assert batch_norm(of(near, wide)).item() == pytest.approx(2.25)


def test_batch_norm_gradient_by_hand():
    one = single(mean=3.0, variance=16.0, stored_mean=1.0, stored_variance=4.0)
    one.means.requires_grad_()
    one.variances.requires_grad_()
    batch_norm(of(one)).backward()
    # 2 (m - mu) / var, and (s / sigma - 1) / (s sigma).
    assert one.means.grad.item() == pytest.approx(2 * 2 / 4)
    assert one.variances.grad.item() == pytest.approx((4 / 2 - 1) / (4 * 2))


def test_batch_norm_ignores_a_common_scale():
    inputs, (mean, variance) = draw(4, 3, 2, 2), stored(3)
    plain = batch_norm(of(layer(inputs, mean, variance)))
    scaled = batch_norm(of(layer(100 * inputs, 100 * mean, 100**2 * variance)))
    torch.testing.assert_close(scaled, plain)


def test_constant_channel_is_finite():
    dead = layer(torch.zeros(2, 3, 2, 2, requires_grad=True), torch.zeros(3), torch.zeros(3))
    for term in (batch_norm, batch_norm_l2, batch_norm_kl):
        value = term(of(dead))
        (slope,) = torch.autograd.grad(value, dead.variances, retain_graph=True)
        assert value.isfinite()
        assert slope.isfinite().all()


def test_batch_norm_l2_sums_plain_norms_over_layers():
    first = LayerStatistics(
        torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 1.0]]), torch.zeros(2), torch.ones(2)
    )
    second = single(1.0, 13.0, 1.0, 1.0)
    # |m - mu| = 5 and |v - var| = 0, then 0 and 12.
    assert batch_norm_l2(of(first)).item() == pytest.approx(5.0)
    assert batch_norm_l2(of(first, second)).item() == pytest.approx(17.0)


def test_batch_norm_l2_gradient_is_a_unit_vector_shared_by_the_images():
    inputs = LayerStatistics(
        torch.tensor([[3.0, 4.0], [3.0, 4.0]], requires_grad=True),
        torch.ones(2, 2),
        torch.zeros(2),
        torch.ones(2),
    )
    batch_norm_l2(of(inputs)).backward()
    torch.testing.assert_close(inputs.means.grad, torch.tensor([[0.3, 0.4], [0.3, 0.4]]))


def test_batch_norm_kl_is_that_of_normals_summed_over_channels_and_layers():
    layers = [random_layer(3), random_layer(2, seed=5)]
    expected = sum(
        kl_divergence(
            Normal(one.mean, one.variance.sqrt()),
            Normal(one.stored_mean, one.stored_variance.sqrt()),
        ).sum()
        for one in layers
    )
    torch.testing.assert_close(batch_norm_kl(of(*layers)), expected)


def test_batch_norm_kl_gradient_by_hand():
    one = single(mean=3.0, variance=2.0, stored_mean=1.0, stored_variance=4.0)
    one.means.requires_grad_()
    one.variances.requires_grad_()
    batch_norm_kl(of(one)).backward()
    # (m - mu) / var, and 1 / (2 var) - 1 / (2 v).
    assert one.means.grad.item() == pytest.approx(2 / 4)
    assert one.variances.grad.item() == pytest.approx(1 / 8 - 1 / 4)


def test_average_of_the_first_batch_is_batch_norm_l2():
    one = random_layer()
    average = BatchNormAverage(TEACHER)
    torch.testing.assert_close(average(of(one)), batch_norm_l2(of(one)))


@pytest.mark.parametrize("batches", [1, 2, 20])
@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_average_of_a_constant_is_that_constant(batches, momentum):
    # A wrong bias correction would make the average drift or start near zero.
    one, average = random_layer(), BatchNormAverage(TEACHER, momentum)
    for _ in range(batches):
        value = average(of(one))
        average.end_batch()
    ((mean, variance),) = average.averages()
    torch.testing.assert_close(mean, one.mean)
    torch.testing.assert_close(variance, one.variance)
    torch.testing.assert_close(value, batch_norm_l2(of(one)))


def test_average_weights_past_batches_by_age():
    first, second = random_layer(seed=1), random_layer(seed=2)
    average = BatchNormAverage(TEACHER, momentum=0.9)
    for one in (first, second):
        average(of(one))
        average.end_batch()
    ((mean, variance),) = average.averages()
    # (0.9 * 0.1 * first + 0.1 * second) / (1 - 0.9^2)
    torch.testing.assert_close(mean, (0.09 * first.mean + 0.1 * second.mean) / 0.19)
    torch.testing.assert_close(variance, (0.09 * first.variance + 0.1 * second.variance) / 0.19)


def test_average_compares_a_mixture_of_present_and_past():
    past, present = random_layer(seed=1), random_layer(seed=2)
    average = BatchNormAverage(TEACHER, momentum=0.9)
    average(of(past))
    average.end_batch()
    mean = 0.1 * present.mean + 0.9 * past.mean
    variance = 0.1 * present.variance + 0.9 * past.variance
    expected = (mean - present.stored_mean).norm() + (variance - present.stored_variance).norm()
    torch.testing.assert_close(average(of(present)), expected)


def test_average_records_a_batch_once():
    average, batches = BatchNormAverage(TEACHER), [random_layer(seed=s) for s in range(4)]
    values = [average(of(batch)) for batch in (*batches, batches[0])]
    assert average.count == 0
    torch.testing.assert_close(values[-1], values[0])
    average.end_batch()
    assert average.count == 1
    # The last version of the batch is recorded.
    torch.testing.assert_close(average.averages()[0][0], batches[0].mean)


def test_average_has_a_gradient_for_the_present_batch_only():
    past = draw(4, 3, 2, 2, seed=1).requires_grad_()
    present = draw(4, 3, 2, 2, seed=2).requires_grad_()
    average = BatchNormAverage(TEACHER, momentum=0.75)
    average(of(layer(past, *stored(3))))
    average.end_batch()
    assert gradcheck(lambda x: average(of(layer(x, *stored(3)))), (present,))
    value = average(of(layer(present, *stored(3))))
    (reached,) = torch.autograd.grad(value, past, allow_unused=True, retain_graph=True)
    assert reached is None
    seen = layer(present, *stored(3))
    (slope,) = torch.autograd.grad(average(of(seen)), seen.variances)
    # A unit vector times the weight of the present batch, spread over four images.
    assert slope.norm().item() == pytest.approx(0.25 / math.sqrt(4))


def test_average_continues_from_its_state():
    first, second = BatchNormAverage(TEACHER), BatchNormAverage(TEACHER)
    for seed in range(3):
        first(of(random_layer(seed=seed)))
        first.end_batch()
    second.load_state_dict(first.state_dict())
    fresh = random_layer(seed=9)
    assert second(of(fresh)) == first(of(fresh))
    for average in (first, second):
        average.end_batch()
    torch.testing.assert_close(second.averages(), first.averages())
    assert second.count == 4


# Checkpoints are loaded to the CPU.
def test_average_restores_its_state_on_the_teachers_device():
    average = BatchNormAverage(TEACHER)
    average(of(random_layer()))
    average.end_batch()
    elsewhere = BatchNormAverage(nn.Sequential(nn.BatchNorm2d(3)).to("meta"))
    elsewhere.load_state_dict(average.state_dict())
    there = LayerStatistics(*(torch.ones(4, 3, device="meta") for _ in range(2)), *stored_on_meta())
    assert elsewhere(of(there)).device.type == "meta"


def stored_on_meta():
    return (torch.ones(3, device="meta") for _ in range(2))


def test_average_accepts_batch_norm_without_affine_parameters():
    average = BatchNormAverage(nn.Sequential(nn.BatchNorm2d(3, affine=False)))
    assert average(of(random_layer())).isfinite()


def test_batch_norm_mse_by_hand():
    # (3 - 1)^2 + (16 - 4)^2, and the mean over layers.
    one = single(mean=3.0, variance=16.0, stored_mean=1.0, stored_variance=4.0)
    none = single(mean=1.0, variance=4.0, stored_mean=1.0, stored_variance=4.0)
    assert batch_norm_mse(of(one)).item() == pytest.approx(148.0)
    assert batch_norm_mse(of(one, none)).item() == pytest.approx(74.0)


def whitened(*shape):
    """Images that each have mean 0 and deviation 1 in every channel."""
    images = draw(*shape)
    images = images - images.mean((2, 3), keepdim=True)
    return images / images.var((2, 3), unbiased=False, keepdim=True).sqrt()


def test_batch_norm_of_images_by_hand():
    # (3 - 1)^2 + (4 - 2)^2 for the layer; nothing for images with mean 0 and deviation 1.
    one = single(mean=3.0, variance=16.0, stored_mean=1.0, stored_variance=4.0)
    images = whitened(1, 2, 4, 4)
    value = batch_norm_of_images(images=images, statistics=(one,))
    assert value.item() == pytest.approx(8.0, rel=1e-4)
    twice = batch_norm_of_images(images=images + 2, statistics=(one, one))
    assert twice.item() == pytest.approx(2 * 8.0 + 2 * 2.0**2, rel=1e-4)


def test_batch_norm_of_images_compares_each_image_separately():
    """A batch that matches only as a whole must have a positive value."""
    mean, variance = torch.zeros(1, dtype=torch.double), torch.ones(1, dtype=torch.double)
    images = whitened(2, 1, 4, 4)
    apart = LayerStatistics(
        torch.tensor([[1.0], [-1.0]], dtype=torch.double),
        torch.zeros(2, 1).double(),
        mean,
        variance,
    )
    assert batch_norm_mse(of(apart)).item() == pytest.approx(0.0)
    assert batch_norm_of_images(images=images, statistics=(apart,)).item() > 1.9


def test_batch_norm_of_images_gradient_by_finite_differences():
    images = draw(2, 2, 3, 3).requires_grad_()

    def value(x):
        return batch_norm_of_images(images=x, statistics=(layer(x, *stored(2)),))

    assert gradcheck(value, images)
