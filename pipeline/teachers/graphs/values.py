"""The values of a graph during conversion.

Only the batch size of a graph is free. Each value is therefore computed for two batch sizes: what
is equal for both does not depend on the batch size, and any other size is a line through the two.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

BATCHES = (2, 3)
"""The two batch sizes."""

Size = tuple[int, int]
"""A size along one axis, for each of `BATCHES`."""


@dataclass(frozen=True)
class Static:
    """A value that does not depend on the images.

    Attributes:
        arrays: The value for each of `BATCHES`.
        name: Its name in the graph.
    """

    arrays: tuple[Array, Array]
    name: str

    @property
    def constant(self) -> Array | None:
        """The value, or None if it depends on the batch size."""
        first, second = self.arrays
        return first if first is second or np.array_equal(first, second) else None

    @property
    def sizes(self) -> list[Size]:
        """The value as a list of sizes."""
        first, second = (array.reshape(-1).tolist() for array in self.arrays)
        return list(zip(map(int, first), map(int, second), strict=True))


@dataclass(frozen=True)
class Traced:
    """A value that depends on the images.

    Attributes:
        name: Its name in the network.
        examples: Tensors with its shape and type for each of `BATCHES`, without data.
    """

    name: str
    examples: tuple[Tensor, Tensor]

    @property
    def sizes(self) -> list[Size]:
        """The size along each axis."""
        first, second = self.examples
        return list(zip(map(int, first.shape), map(int, second.shape), strict=True))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.examples[0].ndim

    @property
    def batch_axis(self) -> int | None:
        """The axis whose size depends on the batch size, or None."""
        return next((axis for axis, (a, b) in enumerate(self.sizes) if a != b), None)

    def fixed_size(self, axis: int) -> int | None:
        """Return the size along an axis, or None if it depends on the batch size."""
        first, second = self.sizes[axis]
        return first if first == second else None


@dataclass(frozen=True)
class Sequence:
    """A list of values that depend on the images.

    Attributes:
        parts: The values.
    """

    parts: tuple[Traced, ...]


Value = Static | Traced | Sequence


def line(size: Size) -> tuple[int, int]:
    """Return (factor, offset) such that the size is factor * batch + offset.

    Examples:
        >>> line((8, 12)), line((7, 7))
        ((4, 0), (0, 7))
    """
    factor = (size[1] - size[0]) // (BATCHES[1] - BATCHES[0])
    return factor, size[0] - factor * BATCHES[0]


def at_batch(size: Size, batch: int) -> int:
    """Return a size for another batch size."""
    factor, offset = line(size)
    return factor * batch + offset
