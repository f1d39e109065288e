"""The verdict: does the compiled student answer as the teacher does, and how sure is that?

It says agreement with the teacher on synthetic probes, never accuracy. No torch here: the same
verdict can be had on a device.
"""

import math
from dataclasses import asdict, dataclass
from enum import Enum
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.bundle.golden import Golden


class Outcome(str, Enum):
    """Pass, fail, or not enough probes to tell."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    @property
    def exit_code(self) -> int:
        """What the command line exits with."""
        return {"pass": 0, "fail": 2, "inconclusive": 3}[self.value]


@dataclass(frozen=True)
class Verdict:
    """How often student and teacher agree on probe images, and what follows.

    Attributes:
        outcome: The verdict.
        agreed: Images on which both give the same answer.
        images: All images.
        agreement: Their ratio, 0 to 1.
        low: Lower end of its Wilson interval.
        high: Upper end.
        confidence: Of the interval.
        threshold: What was asked for before the run.
        per_generator: Agreement on the images of each held-out generator.
        per_class: Agreement on the images the teacher puts in each class; None where it puts none.
        teacher_confidence: Mean of the teacher's largest probability; near 1, the probes are easy.
        teacher_histogram: The teacher's answers, counted per class.
    """

    outcome: Outcome
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

    def as_json(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)


def wilson(agreed: int, images: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = agreed / images
    middle = share + z * z / (2 * images)
    reach = z * math.sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    scale = 1 + z * z / images
    low, high = (middle - reach) / scale, (middle + reach) / scale
    # At a share of 0 or 1 one end is exact, and rounding may push it past.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def judge(
    golden: Golden, student_logits: NDArray[np.float32], threshold: float, confidence: float
) -> Verdict:
    """Compare a student's answers with the teacher's.

    Args:
        golden: The probes.
        student_logits: (N, K), from the compiled artifact, on `golden.images`.
        threshold: The agreement asked for.
        confidence: Of the interval.

    Returns:
        Pass when the interval lies at or above the threshold, fail when it lies below or the
        student answers with NaN, inconclusive when it holds the threshold.
    """
    teacher = golden.teacher_logits.argmax(1)
    finite = np.isfinite(student_logits).all()
    same = (student_logits.argmax(1) == teacher) & np.isfinite(student_logits).all(1)
    agreed, images = int(same.sum()), len(same)
    low, high = wilson(agreed, images, confidence)
    outcome = Outcome.INCONCLUSIVE
    if not finite or high < threshold:
        outcome = Outcome.FAIL
    elif low >= threshold:
        outcome = Outcome.PASS
    classes = golden.teacher_logits.shape[1]
    return Verdict(
        outcome=outcome,
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
    )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
    return shares
