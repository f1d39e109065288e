"""Measure which normalizations `datafree-edge check` warns of, for seven teachers with batch norm.

    python -m benchmarks.input_checks --teachers TEACHERS

Each teacher is also measured with its normalization built in, so that it takes values from 0 to 1,
or from 0 to 255. EfficientNet-Lite0 needs the packages named in photographs/teacher.py. Writes
results/input_checks.json and input_checks.md.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from benchmarks.job_queue import Row
from benchmarks.mnist.teachers import CIFAR_TEACHER, EXTERNAL, TEACHERS
from benchmarks.photographs import teacher as lite0
from benchmarks.result_pages import RESULTS, markdown_table
from dfkd.images import ImageSpec
from pipeline.input_checks.batch_norm_reach import MAX_FACTOR, MAX_SHIFT, batch_norm_reach
from pipeline.input_checks.customary_normalizations import customary_normalizations
from pipeline.input_checks.input_warnings import image_count, input_warnings
from pipeline.input_checks.structured_images import structured_images

OWN = "own"
"""The column with the normalization that the teacher was trained with."""

SCALES = {"0..1": 1.0, "0..255": 255.0}
"""The largest raw value of teachers with a built-in normalization, by the name of theirs."""


class WithNormalization(nn.Module):
    """A teacher that normalizes the images itself.

    Args:
        teacher: The teacher.
        spec: Its normalization, for values from 0 to 1.
        largest: The largest raw value of the images.
    """

    def __init__(self, teacher: nn.Module, spec: ImageSpec, largest: float) -> None:
        super().__init__()
        self.teacher, self.spec, self.largest = teacher, spec, largest

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of raw images (N, C, H, W)."""
        logits: Tensor = self.teacher(self.spec.normalise(images / self.largest))
        return logits


def main(
    teachers: Annotated[Path, typer.Option(help="Folder with the teachers trained by others.")],
) -> None:
    """Write results/input_checks.json and input_checks.md."""
    rows = [row for each in _teachers(teachers) for row in measure(*each)]
    (RESULTS / "input_checks.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "input_checks.md").write_text(render(rows))


def _teachers(external: Path) -> Iterator[tuple[str, nn.Module, ImageSpec]]:
    """Yield the name, the network and the true specification of each teacher."""
    cards = {name: TEACHERS[name] for name in ("lenet5-bn", "resnet20", "wrn-16-1", CIFAR_TEACHER)}
    for depth, file in (("32", "resnet32-d509ac18.th"), ("56", "resnet56-4bfd9763.th")):
        weights = f"{EXTERNAL}/cifar10_resnet{depth}/{file}"
        cards[f"cifar10-resnet{depth}"] = replace(
            TEACHERS[CIFAR_TEACHER], architecture=f"resnet{depth}", weights=weights
        )
    for name, card in cards.items():
        yield name, card.load(external), card.spec
    network = lite0.lite0()
    network.load_state_dict(torch.load(lite0.weights_file(), weights_only=True))
    yield "efficientnet-lite0", network.eval().requires_grad_(False), lite0.SPEC


def measure(name: str, teacher: nn.Module, spec: ImageSpec) -> Iterator[Row]:
    """Yield the rows of a teacher: as it is, and with its normalization built in.

    Args:
        name: The teacher's name in the table.
        teacher: The teacher, frozen and in eval mode.
        spec: Its true specification, for values from 0 to 1.
    """
    images = structured_images(image_count(spec), spec.shape)
    customary = customary_normalizations(spec)
    forms = {OWN: teacher}
    forms |= {scale: WithNormalization(teacher, spec, SCALES[scale]).eval() for scale in SCALES}
    for true, network in forms.items():
        given = {OWN: spec, **customary} if true == OWN else customary
        cells = {}
        for normalization, judged in given.items():
            reach = batch_norm_reach(network, judged, images)
            assert reach is not None
            cells[normalization] = {
                "factor": float(f"{reach.factor:.3g}"),
                "shift": float(f"{reach.shift:.3g}"),
                "warned": not reach.within,
            }
        started = time.process_time()
        warnings = input_warnings(network, given[true])
        seconds = round(time.process_time() - started, 2)
        yield {
            "teacher": name,
            "true": true,
            "cells": cells,
            "other_warnings": [line for line in warnings if line.startswith("teacher")],
            "cpu_seconds": seconds,
        }


def render(rows: Sequence[Row]) -> str:
    """Return the page as Markdown."""
    true = [row["cells"][row["true"]]["warned"] for row in rows]
    others = {"0..1": "0..255", "0..255": "0..1", OWN: "0..255"}
    confused = [row["cells"][others[row["true"]]]["warned"] for row in rows]
    columns = list(rows[0]["cells"])
    body = [
        [row["teacher"], row["true"], *(_cell(row["cells"].get(c)) for c in columns)]
        for row in rows
    ]
    parts = [
        "# Normalizations that are warned of",
        "Rows are teachers; columns are normalizations in the run file. *true* is what the teacher "
        "takes: `own` is its own normalization; in the other rows that is built into the network, "
        "which takes values from 0 to 1 or from 0 to 255.",
        "A cell has the factor between the variances that structured images reach and those stored "
        "in the first batch norm, and the distance of the means in stored standard deviations. "
        f"**Bold** cells are warned of: factor above {MAX_FACTOR:g} or distance above "
        f"{MAX_SHIFT:g}.",
        markdown_table(["teacher", "true", *columns], body),
        f"- The true normalization is warned of: {sum(true)} of {len(true)}.\n"
        "- 0..255 instead of 0..1 or of the own one, and 0..1 instead of 0..255, are warned of: "
        f"{sum(confused)} of {len(confused)}.\n"
        "- Other warnings with the true normalization: "
        f"{sum(len(row['other_warnings']) for row in rows)}.\n"
        "- CPU seconds for all checks of the true normalization: at most "
        f"{max(row['cpu_seconds'] for row in rows):g}.",
        "Command: `python -m benchmarks.input_checks --teachers TEACHERS`.",
    ]
    return "\n\n".join(parts) + "\n"


def _cell(cell: Row | None) -> str:
    if cell is None:
        return ""
    text = f"{cell['factor']:g}, {cell['shift']:g}"
    return f"**{text}**" if cell["warned"] else text


if __name__ == "__main__":
    typer.run(main)
