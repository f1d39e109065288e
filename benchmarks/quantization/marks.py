"""Which test images a quantized network answers rightly: what differences are paired by."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.durable_files import replace_durably

Right = NDArray[np.bool_]
"""(N,), in the order of the set."""


def read_marks(path: Path) -> dict[str, Right]:
    """What `write_marks` has kept."""
    with np.load(path, allow_pickle=False) as packed:
        return {name: packed[name] for name in packed.files}


def write_marks(path: Path, marks: dict[str, Right]) -> None:
    """Keep marks by the keys of their rows."""
    beside = path.with_suffix(".part.npz")
    arrays: dict[str, Any] = dict(marks)
    np.savez_compressed(beside, **arrays)
    replace_durably(beside, path)
