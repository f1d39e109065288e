"""Round biases of a fake-quantized network to the grid that integer kernels use."""

import torch
from torch import Tensor

from pipeline.quantization.fake_quantizers import input_uses, quantizer_at, steps_of
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import Layer

MAX_STEPS = 2**23
"""From this many steps on, float32 cannot store fractions of a step, so no rounding is needed."""


@torch.no_grad()
def snap_biases(network: FixedForm, example: Tensor) -> None:
    """Round each bias to a multiple of input scale times weight scale, in place.

    An integer kernel stores a bias as an int32 multiple of that product, so it rounds in any case.
    Rounding before the export gives the trained network and every runtime the same biases.
    Otherwise small differences in the first layers grow from layer to layer.

    Args:
        network: A trained network from `pipeline.quantization.fake_quantizers.prepare`.
        example: (N, C, H, W) images as the network takes them.
    """
    for layer, grid in bias_grids(network, example):
        assert layer.bias is not None
        bias = network.get_tensor(layer.bias)
        levels = (bias / grid).round()
        bias.copy_(torch.where(levels.abs() < MAX_STEPS, levels * grid, bias))


def bias_grids(network: FixedForm, example: Tensor) -> list[tuple[Layer, Tensor]]:
    """Return the quantized layers that have a bias, each with the step size of each bias value.

    Two kinds of layers are left out: layers that are called several times, because the calls have
    different input scales, and transposed convolutions, which have one scale per input channel.
    """
    grids = []
    for layer in FunctionGraph(network, example).layers:
        if layer.bias is None or layer.is_transposed or len(layer.calls) > 1:
            continue
        weight = layer.calls[0].weight
        assert weight is not None
        read = quantizer_at(network, input_uses(layer)[0])
        stored = quantizer_at(network, weight)
        bias = network.get_tensor(layer.bias)
        if read is None or stored is None:
            continue
        grid = steps_of(read) * steps_of(stored)
        if grid.numel() == bias.numel():
            grids.append((layer, grid.to(bias)))
    return grids
