"""The ranges of fake-quantizers as what a student learns, beside its weights."""

import contextlib
from collections.abc import Iterator

import torch
from nncf.torch.quantization.layers import SymmetricQuantizer
from torch import nn

from pipeline.quantization.fake_quantizers import quantizers

RATE = 0.01
"""Learning rate of a range's logarithm: under Adam, a hundredth of the range a step."""


@contextlib.contextmanager
def logarithmic(network: nn.Module) -> Iterator[dict[str, float]]:
    """For as long, keep ranges of fewer than 8 bits as logarithms: steps are shares of them.

    Learnt beside the weights as in LSQ (Esser et al. 2020), in the logarithm as in TQT (Jain et al.
    2020). Adam's steps are as long as its rate, whatever the gradient: a rate for weights, which
    are small, would leave a range of some whole numbers where calibration put it. At 8 bits it may
    stay there: next to nothing is clipped and levels are many.

    Args:
        network: As `prepare` made it; its state dict holds logarithms meanwhile.

    Yields:
        Names of these ranges among the network's parameters, each with `RATE`.
    """
    learnt = [quantizer for _, quantizer in quantizers(network) if quantizer.num_bits < 8]
    ranges = {id(quantizer._scale_param_storage) for quantizer in learnt}
    for quantizer in learnt:
        _keep(quantizer, in_logarithm=True)
    try:
        yield {name: RATE for name, p in network.named_parameters() if id(p) in ranges}
    finally:
        for quantizer in learnt:
            _keep(quantizer, in_logarithm=False)


@torch.no_grad()
def _keep(quantizer: SymmetricQuantizer, *, in_logarithm: bool) -> None:
    """NNCF can keep ranges so from the start, but its algorithm for calibration does not ask it."""
    stored = quantizer._scale_param_storage
    stored.copy_(stored.log() if in_logarithm else stored.exp())
    quantizer._is_using_log_scale_storage = in_logarithm
