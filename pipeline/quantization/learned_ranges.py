"""Learn the ranges of fake-quantizers together with the student's weights."""

import contextlib
from collections.abc import Iterator

import torch
from nncf.torch.quantization.layers import SymmetricQuantizer
from torch import nn

from pipeline.quantization.fake_quantizers import quantizers

RANGE_LEARNING_RATE = 0.01
"""Learning rate of a range's logarithm. One Adam step changes the range by about 1 %."""


@contextlib.contextmanager
def logarithmic_ranges(network: nn.Module) -> Iterator[dict[str, float]]:
    """Store ranges of quantizers below 8 bits as logarithms while the context is open.

    Ranges are learned together with the weights as in LSQ (Esser et al. 2020), and as logarithms
    as in TQT (Jain et al. 2020). The size of an Adam step depends on the learning rate, not on the
    gradient: a learning rate for small weights would hardly change a range of several units. Ranges
    of 8-bit quantizers are not learned, because with 256 levels almost nothing is clipped.

    Args:
        network: A network from `pipeline.quantization.fake_quantizers.prepare`. Inside the context
            its state dict holds logarithms.

    Yields:
        The parameter name of each of these ranges, with its learning rate `RANGE_LEARNING_RATE`.
    """
    learned = [quantizer for _, quantizer in quantizers(network) if quantizer.num_bits < 8]
    ranges = {id(quantizer._scale_param_storage) for quantizer in learned}
    for quantizer in learned:
        _store(quantizer, as_logarithm=True)
    try:
        yield {
            name: RANGE_LEARNING_RATE for name, p in network.named_parameters() if id(p) in ranges
        }
    finally:
        for quantizer in learned:
            _store(quantizer, as_logarithm=False)


@torch.no_grad()
def _store(quantizer: SymmetricQuantizer, *, as_logarithm: bool) -> None:
    # NNCF's quantizer has this mode, but no option of its calibration enables it.
    stored = quantizer._scale_param_storage
    stored.copy_(stored.log() if as_logarithm else stored.exp())
    quantizer._is_using_log_scale_storage = as_logarithm
