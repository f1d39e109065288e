"""Compute NNCF's fake-quantizers with torch's own operators.

NNCF compiles a C++ or CUDA extension on first use, which needs a compiler. On a CPU its kernels
read and write whole tensors about 20 times. The functions here compute the same formulas on parts
that stay in the cache, which is several times as fast and needs no compiler.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from nncf.torch.quantization import quantize_functions
from torch import Tensor

PART = 2**17
"""Number of values of a part. Of three float32 tensors, parts of this size fit in the L2 cache."""

Kernel = Callable[..., Tensor | tuple[Tensor, None, Tensor]]


class TorchKernels:
    """The functions `quantize` and `gradients`, with the interface of NNCF's extensions."""

    @staticmethod
    def get(name: str) -> Kernel:
        """Return the function that NNCF calls by this name."""
        kernels: dict[str, Kernel] = {
            "Quantize_forward": quantize,
            "Quantize_backward": gradients,
        }
        return kernels[name]


def use_torch_kernels() -> None:
    """Let all fake-quantizers of this process use the functions of this module."""
    quantize_functions.QuantizedFunctionsCPU = TorchKernels
    quantize_functions.QuantizedFunctionsCUDA = TorchKernels


def quantize(values: Tensor, low: Tensor, width: Tensor, levels: int) -> Tensor:
    """Clip values to a range and round them to its levels, half to even.

    Zero is one of the levels.

    Args:
        values: A tensor of any shape.
        low: The range's lower end, at most 0: one value, or a shape that broadcasts to `values`.
        width: The range's upper end minus `low`; same shape.
        levels: Number of levels, both ends included.

    Returns:
        A tensor of the same shape.

    Example:
        >>> quantize(torch.tensor([-5.0, 0.5, 1.6]), torch.tensor(-2.0), torch.tensor(3.0), 4)
        tensor([-2.,  0.,  1.])
    """
    output, step = torch.empty_like(values), width / (levels - 1)
    ends = _ends(low, low + width)
    for part, result in _parts(width, values, output):
        torch.clamp(part, *ends, out=result).div_(step).round_().mul_(step)
    return output


def gradients(
    gradient: Tensor,
    values: Tensor,
    low: Tensor,
    width: Tensor,
    levels: int,
    *_: object,
) -> tuple[Tensor, None, Tensor]:
    """Return the gradients of `quantize` for a range whose ends are multiplied by one scale.

    A value inside of the range gets the output's gradient, any other gets 0. The scale, which is
    the range's upper end, gets the output's gradient times

    - outside of the range: the nearest end divided by the upper end;
    - inside: the rounding error divided by `width`. This is NNCF's formula. The derivative would be
      the rounding error divided by the scale.

    Args:
        gradient: Gradient of the output.
        values: As for `quantize`, like the three arguments that follow.
        low: Lower end.
        width: Width.
        levels: Number of levels.
        _: Arguments of NNCF's extensions that are not needed.

    Returns:
        The gradient of the values, None, and the gradient of the scale with the shape of `width`.
    """
    of_values, of_scale = torch.empty_like(values), torch.zeros_like(width)
    high, step = low + width, width / (levels - 1)
    ends = _ends(low, high)
    for part, incoming, inside in _parts(width, values, gradient, of_values):
        torch.clamp(part, *ends, out=inside).eq_(part).mul_(incoming)
        quantized = torch.clamp(part, *ends).div_(step).round_().mul_(step)
        outside = (incoming - inside).mul_(quantized)
        of_scale += outside.sum_to_size(width.shape) / high
        of_scale += quantized.sub_(part).mul_(inside).sum_to_size(width.shape) / width
    return of_values, None, of_scale


def _is_split(ends: Tensor) -> bool:
    """Whether to compute in parts. On a GPU, each part would need its own launches."""
    return ends.numel() == 1 and ends.device.type == "cpu"


def _ends(low: Tensor, high: Tensor) -> tuple[Any, Any]:
    """Return the ends of a range. On a CPU, clamping to numbers is faster than to tensors."""
    return (low.item(), high.item()) if _is_split(low) else (low, high)


def _parts(ends: Tensor, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield parts of tensors of the same shape, as views along the first axis."""
    rows = len(tensors[0])
    if _is_split(ends):
        rows = max(1, rows * PART // max(1, tensors[0].numel()))
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)
