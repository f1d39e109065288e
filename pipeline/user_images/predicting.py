"""Predict the classes of single pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import InputError
from base.one_line import one_line
from pipeline.user_images.bundle_models import BundleModels
from pipeline.user_images.scoring import NO_CLASS, read_batches, top_classes


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of a picture.

    Attributes:
        path: The file.
        classes: Number, name and probability (0 to 1) of each class, the most probable first.
        reason: Why there are none, or "".
    """

    path: Path
    classes: list[tuple[int, str, float]]
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the prediction as values for a JSON file."""
        return {
            "file": str(self.path),
            "classes": [
                {"class": index, "name": name, "probability": share}
                for index, name, share in self.classes
            ],
            "error": self.reason or None,
        }

    def as_line(self) -> str:
        """Return the prediction as one line of text."""
        answers = ", ".join(f"{name} {100 * share:.2f} %" for _, name, share in self.classes)
        return one_line(f"{self.path}: {answers or self.reason}")


def predict(paths: Sequence[Path], bundle: BundleModels, top: int) -> list[Prediction]:
    """Return the predictions of the int8 model, in the order of the files.

    Args:
        paths: Picture files.
        bundle: The bundle's models.
        top: Number of classes of each picture.

    Raises:
        InputError: If none of the files can be read.
    """
    run = bundle.runner("int8")
    found: dict[Path, Prediction] = {}
    for batch in read_batches(list(dict.fromkeys(paths)), bundle.input):
        for path, reason in batch.unreadable.items():
            found[path] = Prediction(path, [], reason)
        if not batch.files:
            continue
        classes, shares = top_classes(run(batch.pixels), top)
        for path, chosen, probable in zip(
            batch.files, classes.tolist(), shares.tolist(), strict=True
        ):
            named = [
                (index, bundle.name_of(index), share)
                for index, share in zip(chosen, probable, strict=True)
                if index != NO_CLASS
            ]
            found[path] = Prediction(path, named, "" if named else "no finite logits")
    predictions = [found[path] for path in paths]
    if not any(each.classes for each in predictions):
        raise InputError(f"{predictions[0].as_line()}; give files that can be read")
    return predictions
