"""Equalize the weight ranges of consecutive layers, without data.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV
2019, section 4.1. A channel's values are divided by s in one layer, and the next layer's weights
for that channel are multiplied by s. The network's results stay the same if the operation between
the two layers commutes with positive factors. Equation 11 chooses s so that the channel has the
same range in both weights:

    s_i = sqrt(range of the first weight's output channel i / range of the second's input channel i)

A ReLU and the other operations of `ChannelPath` commute with positive factors. A ReLU6 does not,
and its limit cannot be scaled, because integer kernels have one limit for all channels. A channel
before a ReLU6 is scaled only if its mean + 4 standard deviations, from batch-norm statistics, is
below 6. Its s is then made large enough that this value is at most 6 after the scaling too. The
ReLU6 acts as a ReLU on such a channel, except for 0.003 % of a normal distribution. All other
channels before a ReLU6 keep scale 1. Nothing is scaled through SiLU, Hardswish or other operations
that do not commute.
"""

import math

import torch
from torch import Tensor

from pipeline.tracing.channel_paths import ChannelPath, channel_paths
from pipeline.tracing.channel_weights import (
    along_inputs,
    along_outputs,
    input_ranges,
    output_ranges,
)
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import ChannelStatistics, Layer

MAX_SWEEPS = 50
"""Largest number of sweeps over all pairs."""

TOLERANCE = 1e-3
"""Sweeps end after one in which every scale is within this distance of 1."""

TAIL = 4.0
"""Number of standard deviations above the mean at which a channel counts as bounded."""


@torch.no_grad()
def equalize(root: FixedForm, example: Tensor) -> int:
    """Equalize all pairs of layers in place; repeat until all scales are close to 1.

    The values of parameters and `FixedForm.statistics` are changed, nothing else. The scales are
    computed and applied in float64, so each weight is rounded only once.

    Args:
        root: A network without fake-quantizers.
        example: (N, C, H, W) images; only their shape matters.

    Returns:
        The number of pairs.
    """
    paths = channel_paths(root, FunctionGraph(root, example))
    layers = {layer.name: layer for path in paths for layer in (path.first, path.second)}
    weights = {name: _weight(root, layer).double() for name, layer in layers.items()}
    applied = {path.first.name: torch.ones(()).to(weights[path.first.name]) for path in paths}
    scalable = {path.first.name: _scalable(root, path) for path in paths}
    for _ in range(MAX_SWEEPS if paths else 0):
        largest_change = 0.0
        for path in paths:
            scales = _scales(root, path, weights, scalable[path.first.name])
            weights[path.first.name] /= along_outputs(scales, path.first)
            repeated = scales.repeat_interleave(path.repeats)
            weights[path.second.name] *= along_inputs(repeated, path.second)
            applied[path.first.name] = applied[path.first.name] * scales
            _divide_statistics(root, path.first, scales)
            largest_change = max(largest_change, float((scales - 1).abs().max()))
        if largest_change <= TOLERANCE:
            break
    for name, layer in layers.items():
        _weight(root, layer).copy_(weights[name])
        if layer.bias is not None and name in applied:
            bias = root.get_tensor(layer.bias)
            bias.copy_(bias.double() / applied[name])
    return len(paths)


def _weight(root: FixedForm, layer: Layer) -> Tensor:
    assert layer.weight is not None
    return root.get_tensor(layer.weight)


def _upper_ends(root: FixedForm, layer: Layer) -> Tensor | None:
    """Return mean + `TAIL` standard deviations of each output channel, or None if unknown."""
    known = root.statistics.get(layer.name)
    if known is None or known.deviation is None:
        return None
    return known.mean + TAIL * known.deviation


def _scalable(root: FixedForm, path: ChannelPath) -> Tensor:
    """Return which channels may be scaled, from the unscaled network: boolean (channels,) or ()."""
    if path.bound == math.inf:
        return torch.tensor(True)
    upper = _upper_ends(root, path.first)
    return torch.tensor(False) if upper is None else upper < path.bound


def _scales(
    root: FixedForm, path: ChannelPath, weights: dict[str, Tensor], scalable: Tensor
) -> Tensor:
    """Return the scale of each channel, (channels,); 1 for channels that must not be scaled."""
    made = output_ranges(weights[path.first.name], path.first)
    read = input_ranges(weights[path.second.name], path.second)
    read = read.view(-1, path.repeats).amax(1)
    # A channel without weights on one side has no finite scale.
    scalable = scalable.to(made.device) & (made > 0) & (read > 0)
    scales = (made / read).sqrt()
    upper = _upper_ends(root, path.first)
    if path.bound < math.inf and upper is not None:
        scales = scales.maximum(upper.to(scales) / path.bound)
    return torch.where(scalable, scales, 1.0)


def _divide_statistics(root: FixedForm, layer: Layer, scales: Tensor) -> None:
    known = root.statistics.get(layer.name)
    if known is not None and known.deviation is not None:
        scales = scales.to(known.mean)
        mean, deviation = known.mean / scales, known.deviation / scales
        root.statistics[layer.name] = ChannelStatistics(mean, deviation)
