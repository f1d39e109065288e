"""Measure the ranges of activations and weights."""

from collections.abc import Iterable
from contextlib import ExitStack

import torch
from nncf.torch.function_hook.wrapper import (
    register_post_function_hook,
    register_pre_function_hook,
)
from torch import Tensor, nn

from pipeline.quantization.placement import Placement
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.layers import Source

MAX_BIAS_STEPS = 2**24
"""Largest number of steps in a bias. Up to here, float32 represents every integer, so an int32 bias
and a float bias are equal."""


MIN_TOP = 127 * 2.0**-22
"""Smallest range of a quantizer. Float16 can represent its step size."""


class _Extremes(nn.Module):
    """Record the mean over batches of a tensor's minimum and of its maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.low: list[Tensor] = []
        self.high: list[Tensor] = []

    def forward(self, values: Tensor) -> Tensor:
        low, high = values.detach().aminmax()
        self.low.append(low)
        self.high.append(high)
        return values


class _Kept(nn.Module):
    """Store the last tensor that passed."""

    def __init__(self) -> None:
        super().__init__()
        self.tensor = torch.empty(0)

    def forward(self, values: Tensor) -> Tensor:
        self.tensor = values.detach().clone()
        return values


@torch.no_grad()
def measure(
    network: FixedForm, placement: Placement, batches: Iterable[Tensor]
) -> tuple[dict[Source, tuple[float, float]], dict[str, Tensor]]:
    """Run calibration images and return the activation ranges and the weights.

    Args:
        network: The network, without quantizers.
        placement: The tensors to measure.
        batches: (N, C, H, W) images.

    Returns:
        The minimum and maximum of each activation, averaged over the batches; and the weight of
        each layer, by name.
    """
    with ExitStack() as stack:
        extremes, weights = {}, {}
        for activation in placement.activations:
            source = activation.source
            extremes[source] = _Extremes()
            handle = register_post_function_hook(
                network, source.operation, source.port, extremes[source]
            )
            stack.callback(handle.remove)
        for quantized in placement.weights:
            use = quantized.layer.calls[0].weight
            assert use is not None
            weights[quantized.layer.name] = _Kept()
            handle = register_pre_function_hook(
                network, use.operation, use.port, weights[quantized.layer.name]
            )
            stack.callback(handle.remove)
        for images in batches:
            network(images)
    ranges = {
        source: (float(torch.stack(found.low).mean()), float(torch.stack(found.high).mean()))
        for source, found in extremes.items()
    }
    return ranges, {name: kept.tensor for name, kept in weights.items()}


def activation_top(low: float, high: float) -> float:
    """Return the value of the highest level of an activation's quantizer.

    It is at least `MIN_TOP`, also if all values are zero. Such a small range gives the next layer's
    bias a small step size, so that it keeps its value.
    """
    return max(MIN_TOP, -low, high)


def weight_tops(
    weight: Tensor, axis: int, *, half_range: bool, bias: Tensor | None, input_step: float
) -> Tensor:
    """Return the value of the highest level of a weight's quantizer, for each index of an axis.

    The range of a channel with tiny weights is increased until its bias has at most
    `MAX_BIAS_STEPS` steps. The output of such a channel is almost only its bias, so accuracy does
    not suffer.

    Args:
        weight: The weight.
        axis: The axis with one scale per index.
        half_range: Whether the largest weight is at level 64 instead of 127.
        bias: (channels,) the layer's bias, if the axis is that of its output channels.
        input_step: Step size of the input's quantizer.

    Returns:
        The tops, in a shape that broadcasts against the weight.
    """
    others = [dim for dim in range(weight.ndim) if dim != axis]
    tops = weight.abs().amax(others, keepdim=True) * (127 / 64 if half_range else 1)
    if bias is not None:
        least = bias.abs() * 127 / (input_step * MAX_BIAS_STEPS)
        tops = torch.maximum(tops, least.view_as(tops))
    return tops.clamp_min(MIN_TOP)
