"""The data type and the memory layout in which a network computes fastest."""

import torch
from torch import nn


def reduced(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Return an autocast to `precision` on a device; it is disabled for float32."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def gains_from_bfloat16(network: nn.Module) -> bool:
    """Return whether a CPU with bfloat16 instructions computes a network faster in bfloat16.

    Networks with depthwise convolutions or layer norms do not: most of them become slower.
    """
    return not any(
        _is_depthwise(module) or isinstance(module, nn.LayerNorm) for module in network.modules()
    )


def fast_layout(network: nn.Module, precision: torch.dtype) -> torch.memory_format:
    """Return the memory layout in which a CPU or a GPU computes a network fastest.

    It is `channels_last`, except for float32 networks without depthwise convolutions.
    """
    if precision != torch.float32 or any(map(_is_depthwise, network.modules())):
        return torch.channels_last
    return torch.contiguous_format


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
