"""Replace torch functions by operations that can be quantized and exported."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Compute torch's function of this name with two matrix products and a softmax.

    The two products can be quantized and exported at every opset.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, V).
        attn_mask: Broadcastable to (..., L, S). If boolean, True where attention is allowed;
            otherwise added to the scores.
        dropout_p: Ignored; a network in eval mode has no dropout.
        is_causal: Whether position l attends to positions up to l only.
        scale: Factor of the scores; None for 1 / sqrt(E).
        enable_gqa: Whether keys and values have fewer heads than queries (dimension -3).

    Returns:
        (..., L, V).
    """
    if enable_gqa:
        repeats = int(query.shape[-3]) // int(key.shape[-3])
        key, value = (t.repeat_interleave(repeats, -3) for t in (key, value))
    factor = 1 / math.sqrt(int(query.shape[-1])) if scale is None else scale
    scores = torch.matmul(query * factor, key.transpose(-2, -1))
    if is_causal:
        length, past = int(query.shape[-2]), int(key.shape[-2])
        attn_mask = torch.ones(length, past, dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(attn_mask.logical_not(), -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.matmul(functional.softmax(scores, -1), value)


def adaptive_avg_pool2d(image: Tensor, output_size: Any) -> Tensor:
    """Compute torch's function of this name with constant sizes.

    The exporter supports torch's own function only if the input sizes are constant and are
    multiples of the output sizes.

    Args:
        image: (..., H, W).
        output_size: One size, or (height, width). None keeps the input's size.

    Returns:
        (..., height, width).
    """
    sizes = _sizes(image, output_size)
    if all(old == new for old, new in sizes):
        return image
    if all(old % new == 0 for old, new in sizes):
        window = [old // new for old, new in sizes]
        return functional.avg_pool2d(image, window, window)
    rows, columns = (_averages(old, new, image) for old, new in sizes)
    return torch.matmul(torch.matmul(rows, image), columns.t())


def rms_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Compute torch's function of this name, which cannot be exported before opset 23.

    Args:
        input: (..., *normalized_shape).
        normalized_shape: The last axes, over which the mean square is computed.
        weight: Factors of this shape; None for 1.
        eps: Added to the mean square; None for the machine epsilon of the type.

    Returns:
        A tensor like the input.
    """
    axes = list(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    normalized = input * torch.rsqrt(input.pow(2).mean(axes, keepdim=True) + eps)
    return normalized if weight is None else normalized * weight


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Compute torch's function of this name without its branch for empty tensors.

    The exporter would write this branch into the graph, and ONNX Runtime refuses such a graph.

    Args:
        input: (N, C, ...).
        size: Number of neighbouring channels whose mean square is used.
        alpha: Factor of the mean square.
        beta: Exponent of the divisor.
        k: Added to the divisor before the exponent.

    Returns:
        A tensor like the input.
    """
    channels, around = int(input.shape[1]), (size // 2, (size - 1) // 2)
    squares = functional.pad(input.pow(2), [*[0, 0] * (input.ndim - 2), *around])
    total = squares.narrow(1, 0, channels)
    for start in range(1, size):
        total = total + squares.narrow(1, start, channels)
    return input / (k + alpha / size * total).pow(beta)


def is_global(output_size: Any) -> bool:
    """Return whether an adaptive pool averages the whole image. The exporter supports that."""
    return output_size == 1 or output_size in ((1, 1), [1, 1])


def _sizes(image: Tensor, output_size: Any) -> list[tuple[int, int]]:
    """Return input and output size of an adaptive pool along both axes."""
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    present = [int(size) for size in image.shape[-2:]]
    return [
        (old, old if new is None else int(new)) for old, new in zip(present, wanted, strict=True)
    ]


def _averages(old: int, new: int, like: Tensor) -> Tensor:
    """Return the (new, old) matrix of an adaptive average pool along one axis."""
    matrix = torch.zeros(new, old)
    for index in range(new):
        start, end = index * old // new, -(-(index + 1) * old // new)
        matrix[index, start:end] = 1 / (end - start)
    return matrix.to(like.device, like.dtype)
