"""The data type and the memory layout in which a network computes fastest."""

import copy

import torch
from torch import Tensor, nn

MIN_MULTIPLY_ADDS = 2_000_000
"""Fewest multiply-adds for one image of a network that is computed in bfloat16: more than LeNet-5
has (0.4 million), fewer than a ResNet-8 for 32 x 32 images (12 million)."""


def reduced(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Return an autocast to `precision` on a device; it is disabled for float32."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def gains_from_bfloat16(network: nn.Module, images: Tensor) -> bool:
    """Return whether a CPU with bfloat16 instructions computes a network faster in bfloat16.

    Most networks with depthwise convolutions or layer norms become slower, and so do networks with
    fewer multiply-adds than `MIN_MULTIPLY_ADDS`.

    Args:
        network: The network. It is not changed.
        images: (N, C, H, W) images that it takes.
    """
    slower = any(
        _is_depthwise(module) or isinstance(module, nn.LayerNorm) for module in network.modules()
    )
    return not slower and multiply_adds(network, images) >= MIN_MULTIPLY_ADDS


@torch.no_grad()
def multiply_adds(network: nn.Module, images: Tensor) -> int:
    """Return the multiply-adds of a network's convolutions and linear layers for one image.

    Args:
        network: The network. It is not changed.
        images: (N, C, H, W) images that it takes.
    """
    counted = copy.deepcopy(network).eval()
    total = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, Tensor)
        total += weight.numel() * output.numel() // weight.shape[0]

    for module in counted.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    counted(images[:1])
    return total


def fast_layout(network: nn.Module, precision: torch.dtype) -> torch.memory_format:
    """Return the memory layout in which a CPU or a GPU computes a network fastest.

    It is `channels_last`, except for float32 networks without depthwise convolutions.
    """
    if precision != torch.float32 or any(map(_is_depthwise, network.modules())):
        return torch.channels_last
    return torch.contiguous_format


def set_fast_layout(network: nn.Module, precision: torch.dtype, images: Tensor) -> None:
    """Give a network the layout of `fast_layout`, or torch's usual one if it cannot have that.

    Some networks fail in `channels_last`, for instance because they flatten images with `view`.

    Args:
        network: The network; its parameters are changed in place.
        precision: The data type of its arithmetic.
        images: (N, C, H, W) images for a trial pass.
    """
    layout = fast_layout(network, precision)
    if layout is torch.channels_last and not _computes(network, layout, precision, images):
        layout = torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload]


def _computes(
    network: nn.Module, layout: torch.memory_format, precision: torch.dtype, images: Tensor
) -> bool:
    trial = copy.deepcopy(network)  # A pass in train mode changes running statistics.
    try:
        trial.to(memory_format=layout)  # type: ignore[call-overload]
        with torch.no_grad(), reduced(images.device, precision):
            trial(images)
    except RuntimeError:
        return False
    return True


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
