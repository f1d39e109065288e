"""Image specifications: shape, normalization and value range of a teacher's input."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

USUAL_WIDTHS = (1.0, 20.0)
"""Smallest and largest width of the value range after a usual normalization."""

USUAL_MARGIN = 0.05
"""After a usual normalization, 0 is this share of the value range away from its ends, or more."""


@dataclass(frozen=True)
class ImageSpec:
    """The images that a teacher was trained on.

    Attributes:
        shape: (channels, height, width).
        mean: The value subtracted from each channel, in units of the raw values.
        std: The positive divisor of each channel, in the same units.
        value_range: Smallest and largest raw value, e.g. (0, 1) for pixels divided by 255.

    Examples:
        >>> spec = ImageSpec((1, 2, 2), mean=(0.5,), std=(0.25,))
        >>> spec.normalise(torch.ones(1, 1, 2, 2)).unique().item()
        2.0
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] = (0.0, 1.0)

    def normalise(self, raw: Tensor) -> Tensor:
        """Normalize raw images (N, C, H, W) in `value_range` for the teacher."""
        return (raw - self._column(self.mean, raw)) / self._column(self.std, raw)

    def denormalise(self, images: Tensor) -> Tensor:
        """Turn normalized images (N, C, H, W) into raw images."""
        return images * self._column(self.std, images) + self._column(self.mean, images)

    def clamp(self, images: Tensor) -> Tensor:
        """Return normalized images (N, C, H, W), clamped to `value_range`."""
        return images.clamp(*self._range(images))

    def from_standard(self, standard: Tensor) -> Tensor:
        """Return normalized images (N, C, H, W) from images on the standard scale.

        Generators and optimizations start on the standard scale, with a mean near 0 and a standard
        deviation near 1. A usual normalization gives this scale, so nothing changes. Otherwise, for
        instance for raw pixels from 0 to 255, -2 and 2 become the ends of the value range.
        """
        if self._is_usual:
            return standard
        low, high = self._range(standard)
        return (low + high) / 2 + standard * (high - low) / 4

    def to_standard(self, images: Tensor) -> Tensor:
        """Return normalized images (N, C, H, W) on the standard scale, see `from_standard`."""
        if self._is_usual:
            return images
        low, high = self._range(images)
        return (images - (low + high) / 2) * 4 / (high - low)

    @cached_property
    def _is_usual(self) -> bool:
        low, high = self._range(torch.empty(0))
        width = high - low
        inside = torch.minimum(-low, high) >= USUAL_MARGIN * width
        fits = (width >= USUAL_WIDTHS[0]) & (width <= USUAL_WIDTHS[1])
        return bool((inside & fits).all())

    def _range(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest normalized value of each channel, (1, C, 1, 1)."""
        low, high = (
            self.normalise(like.new_full((1, self.shape[0], 1, 1), edge))
            for edge in self.value_range
        )
        return low, high

    @staticmethod
    def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
