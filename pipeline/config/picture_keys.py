"""The keys of `input` that describe how a picture becomes an input. Imports no torch."""

from typing import Annotated

from pydantic import Field

PICTURE_KEYS = {"resize": None, "crop": None, "interpolation": "bilinear"}
"""The keys with their defaults. They are no part of a step's settings: no step reads pictures."""

Side = Annotated[int, Field(ge=1, le=8_192)]

Size = Side | tuple[Side, Side]
"""A number of pixels, or [height, width]."""


def check_picture_size(shape: tuple[int, int, int], resize: Size | None, crop: Size | None) -> None:
    """Check that every picture gets the size of the network's input.

    Args:
        shape: (channels, height, width) of the input.
        resize: The key `resize`.
        crop: The key `crop`.

    Raises:
        ValueError: If not.
    """
    size = list(shape[1:])
    if isinstance(resize, int) and crop is None:
        raise ValueError(
            f"resize: {resize} is the shorter side, so pictures get different sizes; "
            f"add crop: {size}, or write resize: {size}"
        )
    name, last = ("resize", resize) if crop is None else ("crop", crop)
    result = [last, last] if isinstance(last, int) else list(last or size)
    if result != size:
        raise ValueError(f"{name} makes pictures of {result}, but shape needs {size}")
