"""How a network is quantized."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Ranges = Literal["largest", "squared-error"]


@dataclass(frozen=True)
class Scheme:
    """Bits and ranges of a network's fake-quantizers.

    Weights are quantized symmetrically per output channel (per input channel in transposed
    convolutions), activations symmetrically per tensor. The zero point is 0. At 8 activation bits
    all activations are signed, as devices require. Below 8 bits, where nothing is exported, the
    scheme follows the code of GDFQ: an activation that is never negative is unsigned, and only
    inputs of layers are quantized. There are two differences from GDFQ, which quantizes outputs of
    ReLUs only: images have 8 bits, as in their files, and the pooled input of the last layer has
    `activation_bits` like every other layer input.

    Attributes:
        weight_bits: Bits of the weights, 2 to 8.
        activation_bits: Bits of the activations, 2 to 8.
        edge_bits: Bits of the weights and inputs (images included) of the first and the last layer.
            None treats these layers like all others.
        half_range: Whether int8 weights are limited to -64 to 64.
        float_layers: Names of layers that stay in float, or patterns such as `blocks.0.*`.
        ranges: Whether an activation's range reaches its largest value, or has the least squared
            error (`pipeline.quantization.squared_error_ranges`).
    """

    weight_bits: int = 8
    activation_bits: int = 8
    edge_bits: int | None = None
    half_range: bool = False
    float_layers: tuple[str, ...] = ()
    ranges: Ranges = "largest"

    def keeps_in_float(self, layer: str) -> bool:
        """Whether the layer of this name stays in float."""
        return any(fnmatchcase(layer, pattern) for pattern in self.float_layers)
