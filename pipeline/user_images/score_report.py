"""The results of `datafree-edge score` as JSON, as text, and as a table of classes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from base.one_line import one_line
from pipeline.user_images.labels import Labels
from pipeline.user_images.score import STUDENT, ClassScore, Score, Share
from pipeline.user_images.scoring import Answers

LISTED_FILES = 5
"""Most files named in one line."""

LISTED_CLASSES = 20
"""Most classes in the table; JSON and page have all."""


@dataclass(frozen=True)
class ScoreReport:
    """What `datafree-edge score` reports.

    Attributes:
        name: The bundle's name.
        folder: The folder of the pictures.
        answers: The answers of the models.
        labels: The labels, or None.
        score: The figures.
        notes: What the user should know about models and teacher.
    """

    name: str
    folder: Path
    answers: Answers
    labels: Labels | None
    score: Score
    notes: list[str]

    def relative(self, path: Path) -> str:
        """Return a picture's path relative to the folder, as one line."""
        return one_line(path.relative_to(self.folder).as_posix())

    @property
    def unlabelled(self) -> list[str]:
        """Readable pictures without a label, if there are labels at all."""
        if self.labels is None:
            return []
        pairs = zip(self.answers.files, self.score.labels.tolist(), strict=True)
        return [self.relative(path) for path, label in pairs if label < 0]

    def as_json(self) -> dict[str, Any]:
        """Return the report as values for a JSON file."""
        answers, labels = self.answers, self.labels
        return {
            "name": self.name,
            "images": len(answers.files),
            "seconds": round(answers.seconds, 3),
            "notes": self.notes,
            "labels": labels and labels.mapping,
            **self.score.as_json(),
            "differing": [self.relative(answers.files[index]) for index in self.score.differing],
            "unreadable": {self.relative(path): why for path, why in answers.unreadable.items()},
            "without_label": self.unlabelled,
            "without_file": labels.without_file if labels else [],
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the report as pairs of label and value, without the classes."""
        answers = self.answers
        rate = len(answers.files) / max(answers.seconds, 1e-9)
        yield "pictures", f"{len(answers.files):,} in {answers.seconds:.1f} s ({rate:.0f}/s)"
        for note in self.notes:
            yield "note", note
        if self.labels:
            yield "labels", self.labels.mapping
        if self.labels and not self.score.accuracy:
            yield "accuracy", "none: no picture that can be read has a label"
        for name, share in self.score.accuracy.items():
            yield f"accuracy of {name}", percent(share)
        for name, share in self.score.agreement.items():
            yield f"agreement of {name} with {self.score.reference}", percent(share)
        unreadable = [f"{self.relative(path)}: {why}" for path, why in answers.unreadable.items()]
        missing = self.labels.without_file if self.labels else []
        for label, names in (
            ("unreadable", unreadable),
            ("without label", self.unlabelled),
            ("in the CSV file only", missing),
        ):
            if names:
                more = ", ..." if len(names) > LISTED_FILES else ""
                yield label, f"{len(names):,} ({', '.join(names[:LISTED_FILES])}{more})"

    def worst_classes(self) -> list[ClassScore]:
        """Return the classes with the lowest accuracy, or without labels agreement, of int8."""
        return sorted(self.score.classes, key=lambda row: row.accuracy.get(STUDENT, row.agreement))[
            :LISTED_CLASSES
        ]

    def class_table(self) -> Table:
        """Return a table of the classes, those with the lowest figures first."""
        shown, total = self.worst_classes(), len(self.score.classes)
        grouped = "label" if self.score.accuracy else f"answer of {self.score.reference}"
        part = f", the {len(shown)} worst of {total}" if len(shown) < total else ""
        models = list(self.score.accuracy)
        table = Table(f"class ({grouped}{part})", "pictures")
        for head in (*(f"{name} %" for name in models), f"{STUDENT} as {self.score.reference} %"):
            table.add_column(head, justify="right")
        for row in shown:
            values = (*(row.accuracy[name] for name in models), row.agreement)
            table.add_row(
                escape(one_line(row.name)), f"{row.images:,}", *(f"{100 * v:.2f}" for v in values)
            )
        return table


def percent(share: Share) -> str:
    """Return a share as text: percent, interval and counts."""
    return (
        f"{100 * share.share:.2f} %  [{100 * share.low:.2f}, {100 * share.high:.2f}]  "
        f"({share.count:,} of {share.images:,})"
    )
