"""Images that use their whole value range as photographs, drawings and textures do."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWN_SIDE = 64
"""Largest height and width at which images are drawn; larger ones are interpolated from these."""

LEAVES = 24

STROKES = 6


def structured_images(count: int, shape: tuple[int, int, int]) -> Tensor:
    """Return images (count, C, H, W) with values from 0 to 1; equal arguments give equal images.

    A quarter each are dead leaves (discs over a gradient), coloured noise whose amplitude falls
    with the frequency as in photographs, the same noise in gray, and strokes. One image of strokes
    in four is dark on bright, the others are bright on dark. The kinds alternate.

    Args:
        count: Number of images.
        shape: (channels, height, width).
    """
    rng = torch.Generator().manual_seed(0)
    channels, height, width = shape
    side = min(DRAWN_SIDE, max(height, width))
    quarter = math.ceil(count / 4)
    kinds = (
        _dead_leaves(quarter, channels, side, rng),
        _noise(quarter, channels, side, rng),
        _strokes(quarter, side, rng).expand(quarter, channels, side, side),
        _noise(quarter, 1, side, rng).expand(quarter, channels, side, side),
    )
    images = torch.stack(kinds, 1).flatten(0, 1)[:count]
    if (height, width) != (side, side):
        images = F.interpolate(images, size=(height, width), mode="bilinear")
    return images


def _dead_leaves(count: int, channels: int, side: int, rng: torch.Generator) -> Tensor:
    def colour() -> Tensor:
        gray, chroma = torch.rand(2, count, 1, 1, 1, generator=rng)
        tint = torch.rand(count, channels, 1, 1, generator=rng) - 0.5
        mixed: Tensor = gray + tint * chroma.square()
        return mixed.clamp(0, 1)

    rows, columns = _grid(side)
    angle = 2 * math.pi * torch.rand(count, 1, 1, 1, generator=rng)
    ramp = (angle.cos() * rows + angle.sin() * columns + 2) / 4
    images = colour() * ramp + colour() * (1 - ramp)
    for _ in range(LEAVES):
        row, column, size = torch.rand(3, count, 1, 1, 1, generator=rng)
        radius = 0.03 / (0.1 + 0.9 * size)
        inside = (rows - row).square() + (columns - column).square() < radius.square()
        images = torch.where(inside, colour(), images)
    return images


def _noise(count: int, channels: int, side: int, rng: torch.Generator) -> Tensor:
    def filtered(planes: int) -> Tensor:
        spectrum = torch.fft.fft2(torch.randn(count, planes, side, side, generator=rng))
        field = torch.fft.ifft2(spectrum / frequency**exponent).real
        field = field - field.mean((2, 3), keepdim=True)
        deviation: Tensor = field.std((2, 3), correction=0, keepdim=True)
        scaled: Tensor = field / deviation.clamp_min(1e-6)
        return scaled

    cycles = side * torch.fft.fftfreq(side)
    frequency = torch.hypot(cycles.view(-1, 1), cycles.view(1, -1)).clamp(min=1)
    exponent, level, contrast = torch.rand(3, count, 1, 1, 1, generator=rng)
    exponent = 0.7 + 0.8 * exponent
    values = 0.9 * filtered(1) + 0.3 * filtered(channels)
    images: Tensor = 0.2 + 0.6 * level + (0.05 + 0.25 * contrast) * values
    return images.clamp(0, 1)


def _strokes(count: int, side: int, rng: torch.Generator) -> Tensor:
    """Return images of one channel."""
    rows, columns = _grid(side)
    images = torch.zeros(count, 1, side, side)
    for _ in range(STROKES):
        row, column, end_row, end_column = 0.15 + 0.7 * torch.rand(4, count, 1, 1, 1, generator=rng)
        width, drawn = torch.rand(2, count, 1, 1, 1, generator=rng)
        down, right = end_row - row, end_column - column
        along = ((rows - row) * down + (columns - column) * right) / (down**2 + right**2 + 1e-6)
        along = along.clamp(0, 1)
        distance = torch.hypot(rows - row - along * down, columns - column - along * right)
        stroke = (1.5 - distance / (0.02 + 0.05 * width)).clamp(0, 1)
        images = torch.where(drawn < 0.6, images.maximum(stroke), images)
    dark_on_bright = (torch.arange(count) % 4 == 3).view(-1, 1, 1, 1)
    return torch.where(dark_on_bright, 1 - images, images)


def _grid(side: int) -> tuple[Tensor, Tensor]:
    """Return the coordinates of rows and columns, from 0 to 1."""
    places = torch.linspace(0, 1, side)
    return places.view(1, 1, side, 1), places.view(1, 1, 1, side)
