"""Limit the batch of a training by the size of the images. Imports no torch.

The limit lets a run with large images fit into the memory of a usual machine.
"""

import math
from dataclasses import replace

from dfkd.recipe import Recipe

FREE_PIXELS = 32 * 32
"""The batch is not limited for images of at most this many pixels."""

MAX_PIXELS = 8 * 224 * 224
"""For larger images: most pixels that the networks process at the same time."""

MIN_BATCH = 4
"""The limit is never below this. Batch norms and the balance of classes need several images."""

MIN_REPLAYED = 2
"""The limit leaves at least this many replayed images in a student step; some updates need two."""


def limited_batch(
    batch: int, shape: tuple[int, int, int], passes: int = 1, least: int = MIN_BATCH
) -> int:
    """Return a recipe's batch, or the largest allowed one if that is smaller.

    Args:
        batch: Images in a batch.
        shape: (channels, height, width) of an image.
        passes: Number of copies of the batch that the networks process at the same time.
        least: The limit is never below this. A smaller `batch` is returned unchanged.

    Examples:
        >>> limited_batch(64, (3, 32, 32)), limited_batch(64, (3, 224, 224))
        (64, 8)
    """
    pixels = shape[1] * shape[2]
    if pixels <= FREE_PIXELS:
        return batch
    return min(batch, max(least, MAX_PIXELS // (pixels * passes)))


def with_limited_batch(recipe: Recipe, shape: tuple[int, int, int], *, student: bool) -> Recipe:
    """Return a recipe with its batch limited for images of a shape (channels, H, W).

    If a student learns, each batch counts twice, because it passes through teacher and student, and
    the student's steps have as many replayed images.
    """
    share = recipe.memory.share if recipe.memory else 0.0
    least = max(MIN_BATCH, math.ceil(MIN_REPLAYED / share) if share else 0)
    passes = recipe.views * (2 if student else 1)
    batch = limited_batch(recipe.schedule.batch, shape, passes, least)
    return replace(recipe, schedule=replace(recipe.schedule, batch=batch))
