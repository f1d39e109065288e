"""Store which test images each network classifies correctly, for differences paired by image."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.durable_files import replace_durably

Correct = NDArray[np.bool_]
"""Whether each image of the test set was classified correctly, (N,)."""


def read_correct(path: Path) -> dict[str, Correct]:
    """Return what `write_correct` wrote."""
    with np.load(path, allow_pickle=False) as packed:
        return {name: packed[name] for name in packed.files}


def write_correct(path: Path, correct: dict[str, Correct]) -> None:
    """Write arrays by the keys of their rows (and of their teachers) to an .npz file."""
    part = path.with_suffix(".part.npz")
    arrays: dict[str, Any] = dict(correct)
    np.savez_compressed(part, **arrays)
    replace_durably(part, path)
