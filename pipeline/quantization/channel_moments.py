"""Compute the means of a network's channels from its batch norms, without data.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV
2019, section 4.2.1 and appendix C. The output of a batch norm is assumed to be normally
distributed, with the batch norm's shift as mean and its gain as standard deviation. After a ReLU it
is a clipped normal distribution, whose mean has a closed form. A ReLU6 clips at both ends.
"""

import math

import torch
from torch import Tensor

from pipeline.tracing import operations as op
from pipeline.tracing.batch_norm_folding import output_statistics
from pipeline.tracing.channel_operations import channel_operation, sum_terms
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import ChannelStatistics, Source
from pipeline.tracing.trace import made_by

SMALLEST_DEVIATION = 1e-100
"""Replaces a standard deviation of 0, by which the closed form would divide."""


def clipped_normal_mean(mean: Tensor, deviation: Tensor, low: float, high: float) -> Tensor:
    """Return the mean of a normal variable that is clipped to an interval.

    With a = (low - mean) / deviation and b = (high - mean) / deviation, it is

        low Phi(a) + high (1 - Phi(b)) + mean (Phi(b) - Phi(a)) + deviation (phi(a) - phi(b))

    Args:
        mean: Means in float64.
        deviation: Standard deviations, 0 or larger.
        low: Lower limit, or minus infinity.
        high: Upper limit, or infinity.
    """
    deviation = deviation.clamp_min(SMALLEST_DEVIATION)
    a, b = (low - mean) / deviation, (high - mean) / deviation
    inside = torch.special.ndtr(b) - torch.special.ndtr(a)
    found: Tensor = mean * inside + deviation * (_density(a) - _density(b))
    if math.isfinite(low):
        found = found + low * torch.special.ndtr(a)
    if math.isfinite(high):
        found = found + high * torch.special.ndtr(-b)
    return found


def _density(x: Tensor) -> Tensor:
    density: Tensor = (-x.square() / 2).exp() / math.sqrt(2 * math.pi)
    return density


class ChannelMoments:
    """Mean, and where known the standard deviation, of each channel of a network's tensors.

    The mean is known for outputs of batch norms (also folded ones), after operations that move,
    clip or average such values, and for sums of two tensors with known means. It is unknown after
    all other operations, such as a max pool, and for a clipped tensor whose standard deviation is
    unknown, such as a sum.

    Args:
        root: The network, with or without fake-quantizers. Their rounding error is ignored.
        graph: Its function graph.
    """

    def __init__(self, root: FixedForm, graph: FunctionGraph) -> None:
        self._root, self._trace = root, graph.trace
        self._layers = {
            layer.calls[0].output.operation: layer.name
            for layer in graph.layers
            if len(layer.calls) == 1
        }
        self._norms = {norm.operation: norm.running_mean for norm in graph.norms}
        self._found: dict[Source, ChannelStatistics | None] = {}

    def of(self, source: Source) -> ChannelStatistics | None:
        """Return the moments of a tensor (N, channels, ...), or None if they are unknown."""
        if source not in self._found:
            self._found[source] = self._compute(source)
        return self._found[source]

    def _compute(self, source: Source) -> ChannelStatistics | None:
        name = source.operation
        if name in self._layers:
            return self._root.statistics.get(self._layers[name])
        if name in self._norms:
            return output_statistics(self._root.get_submodule(self._norms[name].rpartition(".")[0]))
        if self._trace.kinds[name] in op.ADDITIONS:
            return self._sum(name)
        operation = channel_operation(self._trace, name)
        if operation is None or operation.kind == "scales":
            return None
        before = self.of(made_by(self._trace.inputs[name][0]))
        if before is None:
            return None
        mean, deviation = before.mean, before.deviation
        if operation.kind == "averages":
            return ChannelStatistics(mean, None)
        if operation.kind == "clips":
            if deviation is None:
                return None
            clipped = clipped_normal_mean(mean, deviation, operation.low, operation.high)
            return ChannelStatistics(clipped, None)
        repeats = operation.repeats
        if deviation is not None:
            deviation = deviation.repeat_interleave(repeats)
        return ChannelStatistics(mean.repeat_interleave(repeats), deviation)

    def _sum(self, name: str) -> ChannelStatistics | None:
        terms = sum_terms(self._trace, name)
        found = [self.of(term) for term in terms] if terms else []
        means = [moments.mean for moments in found if moments is not None]
        if len(means) != 2 or means[0].shape != means[1].shape:
            return None
        return ChannelStatistics(means[0] + means[1], None)
