"""Make the fixed images on which int8 and float are compared: discs over smooth gradients."""

import numpy as np
from numpy.typing import NDArray

COUNT = 2_000

SEED = 20_261_129

LEAVES = 24
"""Number of discs in one image."""


def structured_images(size: int, count: int = COUNT) -> NDArray[np.float32]:
    """Return images (N, 3, size, size) with values between 0 and 1, the same in every call.

    The background of each image is a gradient between two colours. Discs of random colours and
    sizes cover parts of it (a dead leaves model), and a little noise is added.
    """
    rng = np.random.default_rng(SEED)
    rows, columns = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    images = np.empty((count, 3, size, size), np.float32)
    for image in images:
        angle = rng.uniform(0, 2 * np.pi)
        ramp = (np.cos(angle) * rows + np.sin(angle) * columns + 2) / 4
        first, second = rng.uniform(0, 1, (2, 3, 1, 1))
        image[:] = first * ramp + second * (1 - ramp)
        for _ in range(LEAVES):
            row, column, colour = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0, 1, 3)
            radius = 0.03 / rng.uniform(0.1, 1)
            inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
            image[:, inside] = colour[:, None]
        image += rng.normal(0, 0.02, image.shape)
    return images.clip(0, 1)
