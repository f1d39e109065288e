"""Accuracy and agreement of models on pictures."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.user_images.bundle_models import BundleModels
from pipeline.user_images.labels import Labels
from pipeline.user_images.scoring import Answers
from targets.bundle.verdict import wilson

CONFIDENCE = 0.95
"""Confidence of the Wilson intervals."""

STUDENT = "int8"

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """A share of pictures.

    Attributes:
        count: Number of pictures that count.
        images: Number of all.
        share: count / images, 0 to 1.
        low: Lower end of its Wilson interval.
        high: Upper end.
    """

    count: int
    images: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScore:
    """The results for the pictures of one class.

    Attributes:
        name: The class.
        images: Number of its pictures.
        accuracy: The accuracy of each model, by name; empty without labels.
        agreement: The share in which the student agrees with the reference.
    """

    name: str
    images: int
    accuracy: dict[str, float]
    agreement: float


@dataclass(frozen=True)
class Score:
    """The results of models on pictures.

    Attributes:
        reference: The model that the others are compared with: "teacher" or "fp32".
        accuracy: The accuracy of each model on the pictures with labels, by name; empty if there
            are none.
        agreement: The agreement of each other model with the reference, by name.
        classes: The results by label, or without labels by the answer of the reference; classes
            without pictures are left out.
        differing: Positions of the pictures in which student and reference differ.
        labels: (N,) the label of each picture; -1 for none.
    """

    reference: str
    accuracy: dict[str, Share]
    agreement: dict[str, Share]
    classes: list[ClassScore]
    differing: list[int]
    labels: NDArray[np.int64]

    def as_json(self) -> dict[str, Any]:
        """Return the figures as values for a JSON file."""
        return {
            "reference": self.reference,
            "confidence": CONFIDENCE,
            "accuracy": {name: asdict(share) for name, share in self.accuracy.items()},
            "agreement": {name: asdict(share) for name, share in self.agreement.items()},
            "classes": [asdict(row) for row in self.classes],
        }


def score(answers: Answers, folder: Path, labels: Labels | None, bundle: BundleModels) -> Score:
    """Compare the answers of models with labels and with each other.

    Args:
        answers: The answers of "int8", "fp32" and, if given, "teacher".
        folder: The folder of the pictures, which labels are relative to.
        labels: The classes of the pictures, or None.
        bundle: The names of the classes.
    """
    known = labels.classes if labels else {}
    expected = np.array(
        [known.get(path.relative_to(folder).as_posix(), -1) for path in answers.files], np.int64
    )
    labelled = expected >= 0
    reference = "teacher" if "teacher" in answers.classes else "fp32"
    correct = {name: chosen == expected for name, chosen in answers.classes.items()}
    target = answers.classes[reference]
    agreeing = {
        # A model without an answer agrees with nothing.
        name: (chosen == target) & (chosen >= 0)
        for name, chosen in answers.classes.items()
        if name != reference
    }
    grouping = expected if labelled.any() else target
    return Score(
        reference,
        {name: _share(mask[labelled]) for name, mask in correct.items() if labelled.any()},
        {name: _share(mask) for name, mask in agreeing.items()},
        [
            ClassScore(
                bundle.name_of(index),
                int((members := grouping == index).sum()),
                {name: float(m[members].mean()) for name, m in correct.items() if labelled.any()},
                float(agreeing[STUDENT][members].mean()),
            )
            for index in np.unique(grouping[grouping >= 0]).tolist()
        ],
        np.flatnonzero(~agreeing[STUDENT]).tolist(),
        expected,
    )


def _share(mask: Mask) -> Share:
    count, images = int(mask.sum()), len(mask)
    return Share(count, images, count / images, *wilson(count, images, CONFIDENCE))
