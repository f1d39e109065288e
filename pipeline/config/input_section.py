"""The section of the run file that describes the images. Imports no torch."""

from typing import Any, Literal

from pydantic import (
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pipeline.config.picture_keys import PICTURE_KEYS, Size, check_picture_size
from pipeline.config.section import Section

MIN_CONTRAST = 0.1
"""Smallest accepted width of the value range, in standard deviations. Networks are trained with 1
(values from 0 to 1 as they are) or more; values from 0 to 1 with std 255 give 0.004."""

MEAN_TOLERANCE = 0.01
"""How far a mean may be outside the value range, relative to the width of the range."""


class InputSection(Section):
    """The images.

    Attributes:
        shape: [channels, height, width].
        mean: One value per channel; the teacher gets (raw - mean) / std.
        std: One value per channel.
        value_range: The smallest and the largest raw value.
        resize: How `score` and `predict` resize your pictures: the length of the shorter side, or
            [height, width]. If left out, to the size in `shape`; with `crop`, not at all.
        crop: The size of the centre that `score` and `predict` cut out of the resized picture:
            [height, width], or one number for both. Smaller pictures get a black border.
        interpolation: How `score` and `predict` compute the pixels of a resized picture, by
            Pillow's name for it.
    """

    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    value_range: tuple[float, float] = (0.0, 1.0)
    resize: Size | None = None
    crop: Size | None = None
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"

    @model_validator(mode="after")
    def _check_lengths(self) -> "InputSection":
        for name in ("mean", "std"):
            given = len(getattr(self, name))
            if given != self.shape[0]:
                raise ValueError(
                    f"{name} has {given} values for {self.shape[0]} channels; "
                    "shape is [channels, height, width]"
                )
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError("value_range must be [smallest, largest]")
        check_picture_size(self.shape, self.resize, self.crop)
        return self

    @model_validator(mode="after")
    def _check_normalization(self) -> "InputSection":
        """Refuse a mean that no image can have, and a std that makes all images alike."""
        low, high = self.value_range
        width, ends = high - low, f"value_range [{low:g}, {high:g}]"
        remedy = "give mean, std and value_range in the same units"
        for mean, std in zip(self.mean, self.std, strict=True):
            unchanged = (mean, std) == (0, 1)
            outside = max(low - mean, mean - high) > MEAN_TOLERANCE * width
            if outside and not unchanged:
                raise ValueError(f"mean {mean:g} is outside {ends}; {remedy}")
            if width / std < MIN_CONTRAST:
                raise ValueError(
                    f"std {std:g} makes all images nearly constant: {ends} is only "
                    f"{width / std:.2g} standard deviations wide, and at least {MIN_CONTRAST:g} "
                    f"is required; {remedy}"
                )
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out defaults of newer keys, so that digests of older run files stay the same."""
        values: dict[str, Any] = dump(self)
        return {k: v for k, v in values.items() if k not in PICTURE_KEYS or v != PICTURE_KEYS[k]}
