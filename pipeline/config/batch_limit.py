"""The largest batch of a training for a size of images. Imports no torch.

A batch is limited so that a run with large images fits into the memory of a usual machine.
"""

import math
from dataclasses import replace

from dfkd.recipe import Recipe

FREE_PIXELS = 32 * 32
"""Images of at most so many pixels keep the batch of the recipe."""

MAX_BATCH_PIXELS = 2**19
"""Largest number of pixels in a batch of larger images: 128 images of 64 x 64, or 10 of
224 x 224."""

MIN_BATCH = 8
"""Smallest batch that the limit leaves. Batch norms and the balance of classes need a few
images."""

MIN_REPLAYED = 2
"""Fewest replayed images in a student step that the limit leaves; some updates need two."""


def limited_batch(
    batch: int, shape: tuple[int, int, int], views: int = 1, least: int = MIN_BATCH
) -> int:
    """Return a recipe's batch, or the largest allowed one if that is smaller.

    Args:
        batch: Images in a batch.
        shape: (channels, height, width) of an image.
        views: Number of views of each image that a network sees at once.
        least: The smallest result; a smaller `batch` is returned as it is.

    Examples:
        >>> limited_batch(64, (3, 32, 32)), limited_batch(64, (3, 224, 224))
        (64, 10)
    """
    pixels = shape[1] * shape[2]
    if pixels <= FREE_PIXELS:
        return batch
    return min(batch, max(least, MAX_BATCH_PIXELS // (pixels * views)))


def with_limited_batch(recipe: Recipe, shape: tuple[int, int, int]) -> Recipe:
    """Return a recipe with a batch that is allowed for images of a shape (channels, H, W)."""
    share = recipe.memory.share if recipe.memory else 0.0
    least = max(MIN_BATCH, math.ceil(MIN_REPLAYED / share) if share else 0)
    batch = limited_batch(recipe.schedule.batch, shape, recipe.views, least)
    return replace(recipe, schedule=replace(recipe.schedule, batch=batch))
