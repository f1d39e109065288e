"""Run models on picture files, in batches, and keep their answers."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base.errors import InputError
from pipeline.config.input_section import InputSection
from pipeline.reporter import Reporter
from pipeline.user_images.preparing import Pixels, prepare
from pipeline.user_images.reading import UnreadableError, read_picture, without_warnings
from targets.cpu.session import batch_size

Logits = NDArray[np.float32]

Model = Callable[[Pixels], Logits]
"""Returns logits (N, K) for pixels (N, C, H, W)."""

QUIET_S = 5.0
"""Seconds before progress is shown."""

NO_CLASS = -1
"""The answer of a model whose logits are not finite."""


@dataclass(frozen=True)
class Answers:
    """What models answered to the readable pictures.

    Attributes:
        files: The readable files, in order.
        classes: (N,) the class that each model chose, by the model's name; NO_CLASS if its logits
            are not finite.
        confidence: (N,) its probability, by the model's name.
        unreadable: The other files, with the reason.
        seconds: The time for reading, preparing and running.
    """

    files: list[Path]
    classes: dict[str, NDArray[np.int64]]
    confidence: dict[str, NDArray[np.float32]]
    unreadable: dict[Path, str]
    seconds: float


def answer(
    files: Sequence[Path], section: InputSection, models: dict[str, Model], progress: Reporter
) -> Answers:
    """Run models on files.

    Args:
        files: The picture files.
        section: How they become inputs.
        models: The models, by name.
        progress: Shows the progress after QUIET_S.

    Raises:
        InputError: If no file can be read.
    """
    started = time.monotonic()
    readable: list[Path] = []
    unreadable: dict[Path, str] = {}
    classes: dict[str, list[NDArray[np.int64]]] = {name: [] for name in models}
    confidence: dict[str, list[NDArray[np.float32]]] = {name: [] for name in models}
    for batch in read_batches(files, section):
        unreadable |= batch.unreadable
        readable += batch.files
        if batch.files:
            for name, model in models.items():
                chosen, probability = top_classes(model(batch.pixels), 1)
                classes[name].append(chosen[:, 0])
                confidence[name].append(probability[:, 0])
        done = len(readable) + len(unreadable)
        if time.monotonic() - started > QUIET_S:
            progress.phase("pictures", done, len(files), {})
    if not readable:
        path, reason = next(iter(unreadable.items()))
        raise InputError(
            f"{path}: {reason}; none of the {len(files)} pictures can be read: give other files"
        )
    return Answers(
        readable,
        {name: np.concatenate(parts) for name, parts in classes.items()},
        {name: np.concatenate(parts) for name, parts in confidence.items()},
        unreadable,
        time.monotonic() - started,
    )


def top_classes(logits: Logits, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the most probable classes (N, count) and their probabilities (softmax).

    An image whose logits are not finite gets NO_CLASS and the probability 0.
    """
    finite = np.isfinite(logits).all(1, keepdims=True)
    values = np.where(finite, logits, 0).astype(np.float64)
    powers = np.exp(values - values.max(1, keepdims=True))
    shares = powers / powers.sum(1, keepdims=True)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    probabilities = np.take_along_axis(shares, order, 1)
    return (
        np.where(finite, order, NO_CLASS).astype(np.int64),
        np.where(finite, probabilities, 0).astype(np.float32),
    )


@dataclass(frozen=True)
class Batch:
    """Files that were read together.

    Attributes:
        files: The readable ones.
        pixels: (N, C, H, W) their pixels.
        unreadable: The others, with the reason.
    """

    files: list[Path]
    pixels: Pixels
    unreadable: dict[Path, str]


def read_batches(files: Sequence[Path], section: InputSection) -> Iterator[Batch]:
    """Read and prepare files on all cores, one batch ahead of the caller."""
    size = batch_size((1, *section.shape))
    parts = [files[start : start + size] for start in range(0, len(files), size)]

    def load(path: Path) -> Pixels | str:
        try:
            return prepare(read_picture(path, section.shape[0]), section)
        except UnreadableError as error:
            return str(error)

    with without_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        following = pool.map(load, parts[0])
        for index, part in enumerate(parts):
            loaded = dict(zip(part, following, strict=True))
            if index + 1 < len(parts):
                following = pool.map(load, parts[index + 1])
            pixels = {path: one for path, one in loaded.items() if not isinstance(one, str)}
            reasons = {path: one for path, one in loaded.items() if isinstance(one, str)}
            empty = np.zeros((0, *section.shape), np.uint8)
            stacked = np.stack(list(pixels.values())) if pixels else empty
            yield Batch(list(pixels), stacked, reasons)
