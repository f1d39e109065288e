"""What passes the teacher's batch norms, beside what they remember of the training data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class LayerStatistics:
    """Statistics at the input of one batch norm, per channel, all of shape (C,).

    Attributes:
        mean: Of the batch, over images and positions.
        variance: Of the batch, biased.
        stored_mean: The layer's running mean.
        stored_variance: The layer's running variance.
    """

    mean: Tensor
    variance: Tensor
    stored_mean: Tensor
    stored_variance: Tensor


def batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """The 2-d batch norms of a network that remember statistics."""
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    ]


@contextmanager
def recorded(network: nn.Module) -> Iterator[list[LayerStatistics]]:
    """Record the statistics of every batch norm that runs inside the context.

    The yielded list fills in the order of execution and keeps the gradient to the input; the
    hooks are gone afterwards.
    """
    seen: list[LayerStatistics] = []

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_mean is not None and layer.running_var is not None
        images = inputs[0]
        mean = images.mean((0, 2, 3))
        variance = images.var((0, 2, 3), unbiased=False)
        seen.append(LayerStatistics(mean, variance, layer.running_mean, layer.running_var))

    handles = [layer.register_forward_pre_hook(hook) for layer in batch_norms(network)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
