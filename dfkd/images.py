"""What an input image is: its shape and how raw values become what a teacher sees."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageSpec:
    """The images a teacher was trained on.

    Attributes:
        shape: (channels, height, width).
        mean: Per-channel mean that was subtracted, in units of the raw values.
        std: Per-channel divisor, in the same units, all positive.
        value_range: Smallest and largest raw value, e.g. (0, 1) for pixels divided by 255.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] = (0.0, 1.0)

    def normalise(self, raw: Tensor) -> Tensor:
        """Raw images (N, C, H, W) in `value_range` -> what the teacher sees."""
        return (raw - self._column(self.mean, raw)) / self._column(self.std, raw)

    def denormalise(self, images: Tensor) -> Tensor:
        """The inverse of `normalise`."""
        return images * self._column(self.std, images) + self._column(self.mean, images)

    def clamp(self, images: Tensor) -> Tensor:
        """Normalised images (N, C, H, W), moved to the nearest that `value_range` allows."""
        low, high = (
            self.normalise(images.new_full((1, self.shape[0], 1, 1), edge))
            for edge in self.value_range
        )
        return images.clamp(low, high)

    @staticmethod
    def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
