"""Round biases of a fake-quantized network to the grid that integer kernels use."""

import copy

import torch
from torch import Tensor, nn

from pipeline.export.onnx_export import export_onnx
from pipeline.quantization.fake_quantizers import layers_in_call_order, to_torch_quantizers
from targets.graph.bias_grid import bias_steps

MAX_STEPS = 2**23
"""From this many steps on, float32 has no fractions of a step: the bias is already on the grid."""


@torch.no_grad()
def snap_biases(network: nn.Module, example: Tensor) -> None:
    """Round each bias to a multiple of input scale times weight scale, in place.

    An integer kernel stores a bias as an int32 multiple of that product, so it rounds in any case.
    Rounding before the export gives the trained network and every runtime the same biases.
    Otherwise small differences in the first layers grow towards the last one.

    Args:
        network: A trained network from `pipeline.quantization.fake_quantizers.prepare`.
        example: (N, C, H, W) images as the network takes them.
    """
    model = export_onnx(to_torch_quantizers(copy.deepcopy(network), example), example, 17, None)
    for layer, step in zip(layers_in_call_order(network, example), bias_steps(model), strict=True):
        bias = layer.bias
        if step is None or not isinstance(bias, Tensor):
            continue
        grid = torch.from_numpy(step).to(bias).expand_as(bias)
        levels = (bias / grid).round()
        bias.copy_(torch.where(levels.abs() < MAX_STEPS, levels * grid, bias))
