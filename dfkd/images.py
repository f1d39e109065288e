"""Image specifications: shape, normalization and value range of a teacher's input."""

from dataclasses import dataclass

import torch
from torch import Tensor


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
        low, high = (
            self.normalise(images.new_full((1, self.shape[0], 1, 1), edge))
            for edge in self.value_range
        )
        return images.clamp(low, high)

    @staticmethod
    def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
