"""The largest batch of a training for a size of images. Imports no torch.

A batch is limited so that a run with large images fits into the memory of a usual machine.
"""

import math
from dataclasses import replace

from dfkd.recipe import Recipe

FREE_PIXELS = 32 * 32
"""Images of at most so many pixels keep the batch of the recipe."""

MAX_PIXELS = 8 * 224 * 224
"""Largest number of pixels that are in networks at the same time, for larger images."""

MIN_BATCH = 4
"""Smallest batch that the limit leaves. Batch norms and the balance of classes need a few
images."""

MIN_REPLAYED = 2
"""Fewest replayed images in a student step that the limit leaves; some updates need two."""


def limited_batch(
    batch: int, shape: tuple[int, int, int], passes: int = 1, least: int = MIN_BATCH
) -> int:
    """Return a recipe's batch, or the largest allowed one if that is smaller.

    Args:
        batch: Images in a batch.
        shape: (channels, height, width) of an image.
        passes: How often the batch is in a network at the same time.
        least: The smallest result; a smaller `batch` is returned as it is.

    Examples:
        >>> limited_batch(64, (3, 32, 32)), limited_batch(64, (3, 224, 224))
        (64, 8)
    """
    pixels = shape[1] * shape[2]
    if pixels <= FREE_PIXELS:
        return batch
    return min(batch, max(least, MAX_PIXELS // (pixels * passes)))


def with_limited_batch(recipe: Recipe, shape: tuple[int, int, int], *, student: bool) -> Recipe:
    """Return a recipe with a batch that is allowed for images of a shape (channels, H, W).

    If a student learns, each batch counts twice: it passes through teacher and student, and the
    student's steps have as many replayed images.
    """
    share = recipe.memory.share if recipe.memory else 0.0
    least = max(MIN_BATCH, math.ceil(MIN_REPLAYED / share) if share else 0)
    passes = recipe.views * (2 if student else 1)
    batch = limited_batch(recipe.schedule.batch, shape, passes, least)
    return replace(recipe, schedule=replace(recipe.schedule, batch=batch))
