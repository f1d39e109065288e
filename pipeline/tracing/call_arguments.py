"""The arguments of torch functions, by position and by name."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from pipeline.tracing.operations import LAYERS

CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")

ARGUMENTS = {
    **dict.fromkeys(LAYERS, ("input", "weight", "bias")),
    "matmul": ("input", "other"),
    "mm": ("input", "mat2"),
    "bmm": ("input", "mat2"),
    "addmm": ("input", "mat1", "mat2"),
    "baddbmm": ("input", "batch1", "batch2"),
}
"""Names of the leading arguments, which NNCF identifies by position."""


def with_padding_sizes(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a convolution with its padding as numbers.

    ONNX has an attribute for the padding "same". ONNX Runtime refuses it for dilated kernels.
    """
    given = {**dict(zip(CONVOLUTION, args, strict=False)), **kwargs}
    if not isinstance(given.get("padding"), str):
        return args, kwargs
    image, kernel = given["input"], given["weight"].shape[2:]
    dilation = given.get("dilation", 1)
    dilations = [dilation] * len(kernel) if isinstance(dilation, int) else dilation
    same = given["padding"] == "same"
    totals = [same * d * (int(k) - 1) for d, k in zip(dilations, kernel, strict=True)]
    given["padding"] = tuple(total // 2 for total in totals)
    if any(total % 2 for total in totals):  # torch adds the extra zero at the end.
        sides = [(0, total % 2) for total in reversed(totals)]
        image = functional.pad(image, [size for pair in sides for size in pair])
    given = {"bias": None, **given, "input": image}
    leading = tuple(given.pop(name) for name in CONVOLUTION[:3])
    return leading, given


def output_size(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the output size of an adaptive pool, its second argument."""
    return args[1] if len(args) > 1 else kwargs["output_size"]


def is_size_arithmetic(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether all tensors among the arguments are sizes.

    During export, sizes are tensors instead of Python numbers. NNCF numbers the calls of each
    function, and calls with sizes must not be counted.
    """
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    return bool(tensors) and all(
        tensor.ndim == 0 and not tensor.is_floating_point() for tensor in tensors
    )


def by_position(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Move leading keyword arguments to their positions."""
    kwargs = dict(kwargs)
    for name in names[len(args) :]:
        if name not in kwargs:
            break
        args = (*args, kwargs.pop(name))
    return args, kwargs
