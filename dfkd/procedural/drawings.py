"""The two kinds of procedural images: textured leaves, and strokes."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from dfkd.procedural.canvas import Canvas

LEAVES, STROKES = 10, 4
"""Largest number of leaves and of strokes in an image."""

PIECES = 8
"""Number of straight pieces that a curved stroke consists of."""

BLACK = 0.2
"""Share of the leaf images whose background is black, as in many scans."""

PLAIN = 0.6
"""Share of the stroke images that are white on black; the others have textured colours."""


def leaves(canvas: Canvas, count: int) -> Tensor:
    """Return images (count, C, side, side) of textured shapes that cover each other, from 0 to 1.

    This is the dead-leaves model (Lee, Mumford and Huang 2001) with ellipses and rounded
    rectangles, each with its colour, shade and texture, over a background of two colours.

    Args:
        canvas: The canvas.
        count: Number of images.
    """
    mixed = 0.5 + 0.5 * canvas.ramps(count)
    images = torch.lerp(canvas.colours(count), canvas.colours(count), mixed)
    images = images + canvas.textures(count)
    images = torch.where(canvas.uniform(count) < BLACK, 0.0, images)
    number = torch.randint(LEAVES + 1, (count, 1, 1, 1), generator=canvas.rng)
    for leaf in range(LEAVES):
        shade = 1 + canvas.uniform(count, -0.4, 0.4) * canvas.ramps(count)
        painted = canvas.colours(count) * shade + canvas.textures(count)
        inside = _leaf_mask(canvas, count) * (leaf < number)
        images = torch.lerp(images, painted, inside)
    return images.clamp(0, 1)


def strokes(canvas: Canvas, count: int) -> Tensor:
    """Return images (count, C, side, side) of up to `STROKES` curved strokes, from 0 to 1.

    Args:
        canvas: The canvas.
        count: Number of images.
    """
    drawn = torch.zeros(count, 1, canvas.side, canvas.side)
    number = torch.randint(1, STROKES + 1, (count, 1, 1, 1), generator=canvas.rng)
    width = canvas.uniform(count, 0.05, 0.18)
    end: Tensor | None = None
    for stroke in range(STROKES):
        start, end = _ends(canvas, count, end)
        bend = 0.9 * _points(canvas, count)
        distance = _distance_to_curve(canvas, start, bend, end)
        inside = (0.5 + (width - distance) * canvas.side / 2).clamp(0, 1)
        drawn = torch.where(stroke < number, drawn.maximum(inside), drawn)
    plain = canvas.uniform(count) < PLAIN
    coloured = torch.lerp(leaves(canvas, count), leaves(canvas, count), drawn)
    return torch.where(plain, drawn, coloured)


def _leaf_mask(canvas: Canvas, count: int) -> Tensor:
    """Return the shares of pixels (count, 1, side, side) that one leaf covers.

    A leaf is the set where |u|^p + |v|^p < 1 in its own coordinates: an ellipse for p = 2, nearly a
    rectangle for p = 8.
    """
    row, column = canvas.uniform(count, -0.9, 0.9), canvas.uniform(count, -0.9, 0.9)
    size = 0.12 + 0.9 * canvas.uniform(count).square()
    aspect, angle = canvas.uniform(count, 0.35, 1), canvas.uniform(count, 0, math.pi)
    power = torch.where(canvas.uniform(count) < 0.5, 2.0, 8.0)
    down, right = canvas.rows - row, canvas.columns - column
    along = (right * angle.cos() + down * angle.sin()).abs() / size
    across = (down * angle.cos() - right * angle.sin()).abs() / (size * aspect)
    distance = (along**power + across**power) ** (1 / power)
    return ((1 - distance) * size * canvas.side / 2).clamp(0, 1)


def _ends(canvas: Canvas, count: int, previous: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return start and end of a stroke; most strokes start where the one before ends."""
    start, end = 0.75 * _points(canvas, count), 0.75 * _points(canvas, count)
    if previous is not None:
        start = torch.where(canvas.uniform(count) < 0.6, previous, start)
    return start, end


def _points(canvas: Canvas, count: int) -> Tensor:
    """Return points (count, 2, 1, 1) with coordinates from -1 to 1."""
    return 2 * torch.rand(count, 2, 1, 1, generator=canvas.rng) - 1


def _distance_to_curve(canvas: Canvas, start: Tensor, bend: Tensor, end: Tensor) -> Tensor:
    """Return the distance (count, 1, side, side) of each pixel to a quadratic Bezier curve."""
    points = []
    for place in range(PIECES + 1):
        t = place / PIECES
        points.append((1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end)
    nearest = torch.full((len(start), 1, canvas.side, canvas.side), math.inf)
    for first, second in pairwise(points):
        row, column = first.split(1, 1)
        down, right = (second - first).split(1, 1)
        away_down, away_right = canvas.rows - row, canvas.columns - column
        length = down.square() + right.square() + 1e-6
        along = ((away_down * down + away_right * right) / length).clamp(0, 1)
        distance = torch.hypot(away_down - along * down, away_right - along * right)
        nearest = nearest.minimum(distance)
    return nearest
