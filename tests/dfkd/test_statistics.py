import torch
from dfkd.statistics import batch_norms, recorded
from torch import nn


def network():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)
    ).eval()


def test_records_every_batch_norm_in_order_with_biased_variance():
    net, images = network(), torch.randn(4, 1, 8, 8)
    with recorded(net) as seen:
        net(images)
    first = net[0](images)
    assert [len(layer.mean) for layer in seen] == [3, 2]
    torch.testing.assert_close(seen[0].mean, first.mean((0, 2, 3)))
    torch.testing.assert_close(seen[0].variance, first.var((0, 2, 3), unbiased=False))
    assert seen[0].stored_mean is net[1].running_mean


def test_gradient_reaches_the_images():
    net, images = network(), torch.randn(2, 1, 8, 8, requires_grad=True)
    with recorded(net) as seen:
        net(images)
    seen[-1].variance.sum().backward()
    assert images.grad.abs().sum() > 0


def test_hooks_are_gone_afterwards_even_after_an_error():
    net = network()
    try:
        with recorded(net) as seen:
            net(torch.randn(1, 5, 8, 8))
    except RuntimeError:
        pass
    seen.clear()
    net(torch.randn(1, 1, 8, 8))
    assert not seen


def test_a_batch_norm_without_memory_does_not_count():
    assert not batch_norms(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)))
