"""The verdict: agreement of the compiled student with the teacher on synthetic probes.

Agreement is not accuracy. This module needs no torch, so a device computes the same verdict.
"""

import math
from dataclasses import asdict, dataclass
from enum import Enum
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.bundle.golden import Golden
from targets.bundle.probe_quality import ProbeQuality, probe_quality


class Outcome(str, Enum):
    """Pass, fail, or not decided by these probes."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        return {"pass": 0, "fail": 2, "inconclusive": 3}[self.value]


@dataclass(frozen=True)
class Verdict:
    """How often student and teacher predict the same class, and the outcome.

    Attributes:
        outcome: The verdict.
        because: The reason, in one line.
        agreed: Number of images for which both predict the same class.
        images: Number of images.
        agreement: agreed / images, 0 to 1.
        low: Lower end of the agreement's Wilson interval.
        high: Upper end.
        confidence: Confidence level of the interval.
        threshold: The required agreement, set in the run file.
        per_generator: Agreement on the images of each held-out generator.
        per_class: Agreement on the images that the teacher assigns to each class; None for a class
            without images.
        teacher_confidence: Mean of the teacher's largest probability; near 1, probes are easy.
        teacher_histogram: Number of images that the teacher assigns to each class.
        probes: Whether the images can test a student at all.
    """

    outcome: Outcome
    because: str
    agreed: int
    images: int
    agreement: float
    low: float
    high: float
    confidence: float
    threshold: float
    per_generator: list[float]
    per_class: list[float | None]
    teacher_confidence: float
    teacher_histogram: list[int]
    probes: ProbeQuality

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as values for a JSON file."""
        return asdict(self)


def wilson(agreed: int, images: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion (Wilson 1927).

    Args:
        agreed: Number of successes.
        images: Number of trials.
        confidence: Confidence level, 0 to 1.

    Returns:
        Lower and upper end.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = agreed / images
    middle = share + z * z / (2 * images)
    reach = z * math.sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    scale = 1 + z * z / images
    low, high = (middle - reach) / scale, (middle + reach) / scale
    # At a share of 0 or 1 one end is exact, but rounding could push it beyond.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def judge(
    golden: Golden, student_logits: NDArray[np.float32], threshold: float, confidence: float
) -> Verdict:
    """Compare a student's predictions with the teacher's.

    Args:
        golden: The probes.
        student_logits: (N, K), from the compiled artifact, for `golden.images`.
        threshold: The required agreement.
        confidence: Confidence level of the interval.

    Returns:
        Fail if the interval is below the threshold, or if a logit is not finite; else inconclusive
        if the probes cannot test a student, or if the threshold is inside the interval; else pass.
    """
    teacher = golden.teacher_logits.argmax(1)
    same = (student_logits.argmax(1) == teacher) & np.isfinite(student_logits).all(1)
    agreed, images = int(same.sum()), len(same)
    low, high = wilson(agreed, images, confidence)
    probes = probe_quality(golden, threshold)
    if not np.isfinite(student_logits).all():
        outcome, because = Outcome.FAIL, "a logit of the student is not finite"
    else:
        outcome, because = _outcome(low, high, threshold, probes.faults)
    classes = golden.teacher_logits.shape[1]
    return Verdict(
        outcome=outcome,
        because=because,
        agreed=agreed,
        images=images,
        agreement=agreed / images,
        low=low,
        high=high,
        confidence=confidence,
        threshold=threshold,
        per_generator=[
            float(same[golden.generator == index].mean()) for index in np.unique(golden.generator)
        ],
        per_class=[
            float(same[teacher == index].mean()) if (teacher == index).any() else None
            for index in range(classes)
        ],
        teacher_confidence=float(_softmax(golden.teacher_logits).max(1).mean()),
        teacher_histogram=np.bincount(teacher, minlength=classes).tolist(),
        probes=probes,
    )


def _outcome(
    low: float, high: float, threshold: float, faults: tuple[str, ...]
) -> tuple[Outcome, str]:
    """Return the outcome and the reason, from the interval and the faults of the probes."""
    if high < threshold:
        return Outcome.FAIL, "the interval is below the threshold"
    if faults:
        return Outcome.INCONCLUSIVE, f"the probes cannot test a student: {'; '.join(faults)}"
    if low < threshold:
        return Outcome.INCONCLUSIVE, "the threshold is inside the interval"
    return Outcome.PASS, "the interval is at or above the threshold"


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
    return shares
