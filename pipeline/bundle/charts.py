"""Charts of the report: probes, losses, gradient shares, results by class."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.reporter import shown_name
from pipeline.store.step_record import StepRecord
from targets.bundle.golden import Golden


def probe_grid(golden: Golden, columns: int = 10, rows: int = 4) -> Figure:
    """Return a grid of probe images, each under the class that the teacher assigns to it."""
    figure = Figure(figsize=(columns * 0.8, rows * 0.95))
    # One pair of axes for all images: one for each takes seconds to lay out.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    classes = golden.teacher_logits.argmax(1)
    shown = np.linspace(0, len(classes) - 1, columns * rows).astype(int)
    for place, index in enumerate(shown):
        left, bottom = place % columns, rows - 1 - place // columns
        image = golden.pixels[index].transpose(1, 2, 0)
        extent = (left + 0.05, left + 0.95, bottom + 0.02, bottom + 0.78)
        if image.shape[2] == 3:
            axes.imshow(image, extent=extent, aspect="auto")
        else:
            gray = image[:, :, 0]
            axes.imshow(gray, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
        axes.text(left + 0.5, bottom + 0.82, str(classes[index]), fontsize=8, ha="center")
    axes.set(xlim=(0, columns), ylim=(0, rows))
    return figure


def training_curves(records: dict[str, StepRecord], kind: str) -> Figure:
    """Return a chart for each training step.

    Args:
        records: The records of the steps, by step label.
        kind: "curve" for the losses, "shares" for the shares of the generator's gradient.
    """
    curves = {
        step: points
        for step in ("distill", "fresh_generator", "quantize")
        if step in records and (points := _points(records[step].notes, kind))
    }
    if not curves:
        return Figure(figsize=(4, 0.5))
    figure = Figure(figsize=(4 * len(curves), 3), layout="constrained")
    for axes, (step, curve) in zip(
        np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True
    ):
        for name in sorted({name for point in curve for name in point}):
            values = [point.get(name, float("nan")) for point in curve]
            axes.plot(np.linspace(0, 1, len(values)), values, label=name)
        axes.set(title=shown_name(step), xlabel="fraction of the training")
        axes.legend(fontsize=7)
    return figure


def class_bars(verdict: dict[str, Any]) -> Figure:
    """Return bars of the probes by the teacher's class, and of the agreement in each class."""
    figure = Figure(figsize=(8, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.bar(range(len(verdict["teacher_histogram"])), verdict["teacher_histogram"])
    left.set(title="teacher's predictions", xlabel="class", ylabel="probes")
    right.bar(range(len(verdict["per_class"])), [100 * (v or 0) for v in verdict["per_class"]])
    right.set(title="agreement", xlabel="class", ylabel="%")
    return figure


def as_base64_png(figure: Figure) -> str:
    """Return a figure as a base64-encoded PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def _points(notes: dict[str, Any], kind: str) -> list[dict[str, float]]:
    points: list[dict[str, float]] = notes.get("fine-tuning", notes).get(kind, [])
    return points
