"""The ranges of fake-quantizers as what a student learns, beside its weights."""

import contextlib
from collections.abc import Iterator

import torch
from nncf.torch.quantization.layers import SymmetricQuantizer
from torch import nn

from pipeline.fake_quantizers import quantizers

RATE = 100.0
"""Of a range, times the weights' rate: a step of Adam's at 1e-4 changes every range by a hundredth.

Adam's steps are as long as its rate, whatever the gradient; that of weights, which are some
hundredths, would leave ranges, which are some whole numbers, where calibration put them.
"""


@contextlib.contextmanager
def logarithmic(network: nn.Module) -> Iterator[dict[str, float]]:
    """Keep every range as its logarithm for as long: a step changes each by a share of itself.

    Learnt with the weights as in LSQ (Esser et al. 2020), in the logarithm as in TQT (Jain et al.
    2020).

    Args:
        network: As `prepare` made it; its state dict holds logarithms meanwhile.

    Yields:
        Names of the ranges among the network's parameters, each with `RATE`.
    """
    placed = {quantizer for _, quantizer in quantizers(network)}
    for quantizer in placed:
        _keep(quantizer, in_logarithm=True)
    ranges = {id(quantizer._scale_param_storage) for quantizer in placed}
    try:
        yield {name: RATE for name, p in network.named_parameters() if id(p) in ranges}
    finally:
        for quantizer in placed:
            _keep(quantizer, in_logarithm=False)


@torch.no_grad()
def _keep(quantizer: SymmetricQuantizer, *, in_logarithm: bool) -> None:
    """NNCF can keep ranges so from the start, but its algorithm for calibration does not ask it."""
    stored = quantizer._scale_param_storage
    stored.copy_(stored.log() if in_logarithm else stored.exp())
    quantizer._is_using_log_scale_storage = in_logarithm
