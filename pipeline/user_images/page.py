"""Write the page of the pictures on which student and reference differ."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from base.durable_files import write_durably
from base.one_line import one_line
from pipeline.user_images.bundle_models import BundleModels
from pipeline.user_images.reading import (
    Picture,
    UnreadableError,
    read_picture,
    without_warnings,
)
from pipeline.user_images.score import STUDENT
from pipeline.user_images.score_report import ScoreReport

THUMBNAIL = 112
"""Longest side of a thumbnail in pixels."""

MAX_THUMBNAIL_BYTES = 4_500_000
"""Size of all thumbnails as text; with text and style the page stays below 5 MB."""

MAX_SHOWN = 1_000
"""Most pictures on the page."""


@dataclass(frozen=True)
class Difference:
    """A picture on the page.

    Attributes:
        name: The file, relative to the folder.
        uri: The thumbnail as a data URI.
        lines: The label, if there is one, and the answers of the models.
    """

    name: str
    uri: str
    lines: list[str]


def write_page(path: Path, report: ScoreReport, bundle: BundleModels) -> None:
    """Write the report as a page without references to other files.

    Args:
        path: The HTML file.
        report: The report.
        bundle: The names of the classes.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("pipeline.user_images", "templates"), autoescape=select_autoescape()
    )
    with without_warnings():
        shown = list(_differences(report, bundle))
    page = environment.get_template("score.html").render(
        report=report, shown=shown, student=STUDENT, one_line=one_line
    )
    write_durably(path, page)


def _differences(report: ScoreReport, bundle: BundleModels) -> Iterator[Difference]:
    """Yield the pictures that differ, as many as fit."""
    size = 0
    for index in report.score.differing[:MAX_SHOWN]:
        path, label = report.answers.files[index], int(report.score.labels[index])
        try:
            uri = _thumbnail(read_picture(path, bundle.input.shape[0]))
        except UnreadableError:  # It was deleted or changed since it was scored.
            continue
        size += len(uri)
        if size > MAX_THUMBNAIL_BYTES:
            return
        lines = [f"label: {bundle.name_of(label)}"] if label >= 0 else []
        for name, chosen in report.answers.classes.items():
            answer = "no finite logits"
            if chosen[index] >= 0:
                share = 100 * float(report.answers.confidence[name][index])
                answer = f"{bundle.name_of(int(chosen[index]))} ({share:.0f} %)"
            lines.append(f"{name}: {answer}")
        yield Difference(report.relative(path), uri, [one_line(line) for line in lines])


def _thumbnail(picture: Picture) -> str:
    """Return a small picture as a data URI."""
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
