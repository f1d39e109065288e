"""Biases of a fake-quantized network, moved to the grid on which integer kernels add them."""

import copy

import torch
from torch import Tensor, nn

from pipeline.export.onnx_export import exported
from pipeline.quantization.fake_quantizers import layers_in_order, to_torch_quantizers
from targets.graph.bias_grid import bias_steps

LARGEST = 2**23
"""Above so many steps float32 knows no fractions of one: the bias lies on the grid already."""


@torch.no_grad()
def snap_biases(network: nn.Module, example: Tensor) -> None:
    """Round each bias to a multiple of its input's scale times its weights' scales, in place.

    An integer kernel rounds it so anyway. Where it is done before the export, the trained network
    and every runtime start from the same numbers; done by the runtime alone, it moves a few levels
    in the first layers and, from there, many in the last.

    Args:
        network: Prepared by `pipeline.quantization.fake_quantizers.prepare`, trained.
        example: (N, C, H, W) images as it takes them.
    """
    model = exported(to_torch_quantizers(copy.deepcopy(network), example), example, 17, None)
    for layer, step in zip(layers_in_order(network, example), bias_steps(model), strict=True):
        bias = layer.bias
        if step is None or not isinstance(bias, Tensor):
            continue
        grid = torch.from_numpy(step).to(bias).expand_as(bias)
        levels = (bias / grid).round()
        bias.copy_(torch.where(levels.abs() < LARGEST, levels * grid, bias))
