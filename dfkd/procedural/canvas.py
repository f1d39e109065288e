"""Coordinates, colours and textures that procedural images are painted with."""

import math

import torch
from torch import Tensor

TEXTURES = 256
"""Number of texture fields, which are drawn once and used again and again, shifted."""

MIN_EXPONENT, MAX_EXPONENT = 0.7, 2.0
"""Range of the exponent by which the amplitude of a texture falls with its frequency.

In photographs it is about 1 (Field 1987)."""


class Canvas:
    """Square canvases of one size, with random numbers, colours and textures for them.

    Args:
        channels: Number of channels of the images.
        side: Height and width in pixels.
        rng: Random number generator on the CPU, for all draws.
        fields: The texture fields, from `texture_fields`.

    Attributes:
        rows: Vertical coordinates (1, 1, side, 1), from -1 to 1.
        columns: Horizontal coordinates (1, 1, 1, side), from -1 to 1.
    """

    def __init__(
        self, channels: int, side: int, rng: torch.Generator, fields: tuple[Tensor, Tensor]
    ) -> None:
        self.channels, self.side, self.rng = channels, side, rng
        places = torch.linspace(-1, 1, side)
        self.rows, self.columns = places.view(1, 1, side, 1), places.view(1, 1, 1, side)
        self._gray, self._coloured = fields

    def uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return one number for each image (count, 1, 1, 1), uniform between `low` and `high`."""
        return low + (high - low) * torch.rand(count, 1, 1, 1, generator=self.rng)

    def colours(self, count: int) -> Tensor:
        """Return one colour for each image (count, C, 1, 1), from 0 to 1: gray with some tint."""
        gray = self.uniform(count)
        if self.channels == 1:
            return gray
        tint = torch.randn(count, self.channels, 1, 1, generator=self.rng)
        coloured: Tensor = gray + 0.25 * self.uniform(count) * tint
        return coloured.clamp(0, 1)

    def textures(self, count: int) -> Tensor:
        """Return textures (count, C, side, side) with mean 0 and a random small contrast."""
        contrast = 0.02 + 0.25 * self.uniform(count).square()
        return contrast * (0.9 * self._moved(self._gray, count) + self._chroma(count))

    def ramps(self, count: int) -> Tensor:
        """Return linear ramps (count, 1, side, side) in random directions, from about -1 to 1."""
        angle = self.uniform(count, 0, 2 * math.pi)
        ramp: Tensor = (angle.cos() * self.rows + angle.sin() * self.columns) / math.sqrt(2)
        return ramp

    def _chroma(self, count: int) -> Tensor | float:
        return 0.35 * self._moved(self._coloured, count) if self.channels > 1 else 0.0

    def _moved(self, fields: Tensor, count: int) -> Tensor:
        """Return randomly chosen fields, all rolled by the same random shift, some mirrored.

        The fields are periodic, so a roll leaves no seam.
        """
        chosen = torch.randint(len(fields), (count,), generator=self.rng)
        down, right = torch.randint(self.side, (2,), generator=self.rng).tolist()
        moved = fields[chosen].roll((down, right), (2, 3))
        half = count // 2
        return torch.cat([moved[:half], moved[half:].transpose(2, 3)])


def texture_fields(channels: int, side: int) -> tuple[Tensor, Tensor]:
    """Return gray fields (N, 1, side, side) and coloured ones (N, C, side, side).

    Equal arguments give equal fields. N is `TEXTURES`.

    Args:
        channels: Number of channels of the images.
        side: Height and width in pixels.
    """
    rng = torch.Generator().manual_seed(0)
    return _fields(TEXTURES, 1, side, rng), _fields(TEXTURES, channels, side, rng)


def _fields(count: int, channels: int, side: int, rng: torch.Generator) -> Tensor:
    """Return periodic noise (count, channels, side, side) with mean 0 and deviation 1.

    Its amplitude falls as a power of the frequency.
    """
    exponent = MIN_EXPONENT + (MAX_EXPONENT - MIN_EXPONENT) * torch.rand(
        count, 1, 1, 1, generator=rng
    )
    rows, columns = side * torch.fft.fftfreq(side), side * torch.fft.rfftfreq(side)
    frequency = torch.hypot(rows.view(-1, 1), columns.view(1, -1)).clamp(min=1)
    noise = torch.randn(count, channels, side, side, generator=rng)
    spectrum = torch.fft.rfft2(noise) / frequency**exponent
    spectrum[..., 0, 0] = 0
    field = torch.fft.irfft2(spectrum, s=(side, side))
    deviation = field.std((2, 3), correction=0, keepdim=True).clamp_min(1e-6)
    scaled: Tensor = field / deviation
    return scaled
