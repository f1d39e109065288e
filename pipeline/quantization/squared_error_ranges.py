"""Choose the range of each activation quantizer by the squared error of its rounding.

If a few values are much larger than the others, a range up to the largest value leaves few levels
for the many small values. A smaller range clips the few large values instead. Source: Shin et al.,
Fixed-point performance analysis of recurrent neural networks, ICASSP 2016 (L2 criterion), and Nagel
et al., A White Paper on Neural Network Quantization, 2021, section 3.1 ("MSE").
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack

import torch
from nncf.torch.function_hook.wrapper import register_post_function_hook
from torch import Tensor, nn

from pipeline.quantization.ranges import MIN_TOP
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.layers import Source

SHARES = tuple(share / 100 for share in range(100, 9, -1))
"""Candidates, as shares of the largest value: 1, 0.99, ..., 0.1."""

BINS = 8_192
"""Number of bins of a histogram. The smallest step, that of share 0.1 at 8 bits, has 6 bins."""

CHUNK = 2**22
"""Number of values that are sorted into bins at a time, to limit the memory."""


class AbsoluteHistogram(nn.Module):
    """A histogram, from 0 to `top`, of the absolute values of the tensors that pass.

    For values of `top` or more, only count, sum and sum of squares are stored. The squared error of
    clipping them follows from these.

    Args:
        top: Upper end of the last bin.
    """

    def __init__(self, top: float) -> None:
        super().__init__()
        self.top = top
        self.counts = torch.zeros(BINS, dtype=torch.int64)
        self.above = torch.zeros(3, dtype=torch.float64)

    def forward(self, values: Tensor) -> Tensor:
        """Add values to the histogram and return them."""
        for part in values.detach().flatten().split(CHUNK):
            size = part.abs()
            below = size < self.top
            bins = (size[below] * (BINS / self.top)).int().clamp_max(BINS - 1)
            self.counts += torch.bincount(bins, minlength=BINS).to(self.counts.device)
            large = size[~below].double()
            moments = torch.stack([torch.ones_like(large), large, large.square()]).sum(1)
            self.above += moments.to(self.above.device)
        return values

    def best_top(self, levels: int) -> float:
        """Return the candidate whose quantizer has the least squared error.

        The candidates are `SHARES` of `top`. For a candidate t, each value is rounded to the
        nearest of the numbers 0, t / levels, ..., t, so values above t become t. Each value counts
        as the centre of its bin. If several candidates have the same error, the largest is
        returned.

        Args:
            levels: Number of the quantizer's highest level.
        """
        tops = self.top * torch.tensor(SHARES, dtype=torch.float64)
        centres = (torch.arange(BINS, dtype=torch.float64) + 0.5) * (self.top / BINS)
        steps = (tops / levels).view(-1, 1)
        rounded = (centres / steps).round().clamp_max(levels) * steps
        errors = (rounded - centres).square() @ self.counts.double()
        count, total, squares = self.above
        errors = errors + squares - 2 * tops * total + tops.square() * count
        return float(tops[int(errors.argmin())])


@torch.no_grad()
def squared_error_tops(
    network: FixedForm,
    largest: Mapping[Source, float],
    levels: Mapping[Source, int],
    batches: Iterable[Tensor],
) -> dict[Source, float]:
    """Return the value of the highest level of each activation's quantizer.

    Args:
        network: The network, without quantizers.
        largest: The largest candidate of each activation.
        levels: Number of the highest level of each activation's quantizer.
        batches: (N, C, H, W) images.
    """
    with ExitStack() as stack:
        histograms = {source: AbsoluteHistogram(top) for source, top in largest.items()}
        for source, histogram in histograms.items():
            handle = register_post_function_hook(network, source.operation, source.port, histogram)
            stack.callback(handle.remove)
        for images in batches:
            network(images)
    return {
        source: max(MIN_TOP, histogram.best_top(levels[source]))
        for source, histogram in histograms.items()
    }
