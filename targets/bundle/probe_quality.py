"""Judge the probes before any student: can their agreement show anything?

This needs no torch and only the content of golden.npz, so a device judges the same way.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from targets.bundle.golden import Golden

MIN_DISTINCT = 0.9
"""Smallest share of distinct images. A copy adds no evidence, but narrows the interval."""

MIN_SPREAD = 4.0
"""Smallest spread of the probes, in pixel levels (0 to 255). Below it, all images look alike."""

PROBES_PER_CLASS = 20
"""A class is expected among the teacher's predictions if so many probes are available for each."""

CHUNK = 64
"""Images that are converted to float at a time."""


@dataclass(frozen=True)
class ProbeQuality:
    """How well the probes can test a student.

    Attributes:
        distinct: Number of distinct images.
        spread: Root mean square, over pixels, of a pixel's standard deviation across the probes, in
            levels from 0 to 255.
        answered_classes: Number of classes that the teacher predicts for at least one probe.
        required_classes: The smallest accepted number of such classes.
        commonest: Share of the probes in the class that the teacher predicts most often.
        faults: What makes the probes unusable; empty if they are usable.
    """

    distinct: int
    spread: float
    answered_classes: int
    required_classes: int
    commonest: float
    faults: tuple[str, ...]


def probe_quality(golden: Golden, threshold: float) -> ProbeQuality:
    """Judge probes.

    They are usable if all of these hold:

    - the teacher's logits are finite;
    - at least `MIN_DISTINCT` of the images are distinct;
    - the spread is at least `MIN_SPREAD`;
    - the teacher predicts at least `required_classes` classes;
    - a student that always predicts the teacher's commonest class would not reach the threshold.

    Args:
        golden: The probes.
        threshold: The agreement that the run file requires.
    """
    count, classes = golden.teacher_logits.shape
    histogram = np.bincount(golden.teacher_logits.argmax(1), minlength=classes)
    distinct = len({hashlib.sha256(image.tobytes()).digest() for image in golden.pixels})
    spread = _spread(golden.pixels)
    answered, required = int((histogram > 0).sum()), required_classes(classes, count)
    commonest = float(histogram.max() / count)
    faults = []
    if not np.isfinite(golden.teacher_logits).all():
        faults.append("the teacher's logits are not finite")
    if distinct < MIN_DISTINCT * count:
        faults.append(
            f"{distinct} of {count} images are distinct (required: {100 * MIN_DISTINCT:g} %)"
        )
    if spread < MIN_SPREAD:
        faults.append(f"the images differ by {spread:.1f} of 255 levels (required: {MIN_SPREAD:g})")
    if answered < required:
        faults.append(
            f"the teacher predicts {answered} of {classes} classes (required: {required})"
        )
    if commonest >= threshold:
        faults.append(
            f"the teacher predicts one class for {100 * commonest:.1f} % of the images, so a "
            f"student that always predicts it would reach the required {100 * threshold:g} %"
        )
    return ProbeQuality(distinct, spread, answered, required, commonest, tuple(faults))


def required_classes(classes: int, count: int) -> int:
    """Return how many classes the teacher must predict: half of those expected, at least two.

    Args:
        classes: Number of classes.
        count: Number of probes. If there are fewer than `PROBES_PER_CLASS` for each class, only
            count / PROBES_PER_CLASS classes are expected.
    """
    expected = min(classes, count // PROBES_PER_CLASS)
    return max(2, (expected + 1) // 2)


def _spread(pixels: NDArray[np.uint8]) -> float:
    """Return the spread of images (N, C, H, W); see `ProbeQuality.spread`."""
    total, squares = np.zeros(pixels[0].shape), np.zeros(pixels[0].shape)
    for start in range(0, len(pixels), CHUNK):
        part = pixels[start : start + CHUNK].astype(np.float32)
        total += part.sum(0)
        squares += np.square(part).sum(0)
    variance = squares / len(pixels) - np.square(total / len(pixels))
    return float(np.sqrt(max(0.0, variance.mean())))
