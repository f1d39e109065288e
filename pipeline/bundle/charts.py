"""Charts of the report: hops, targets, training, probe families, classes, confusion."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.bundle.hop_losses import Hop
from pipeline.bundle.svg_figures import COLORS, INK
from targets.bundle.bundle_files import Manifest

MAX_BARS = 40
"""Classes that are drawn as bars with their numbers; more are drawn as steps."""

CURVES = {
    "losses": "loss (no unit)",
    "confidence": "teacher's confidence (%)",
    "shares": "share of the gradient (%)",
}
"""Charts of a training phase with the label of their values."""


def interval_chart(
    labels: Sequence[str],
    intervals: Sequence[tuple[float, float, float]],
    threshold: float | None = None,
) -> Figure:
    """Return shares with their confidence intervals, one below the other.

    Args:
        labels: The name of each share.
        intervals: Share, lower and upper end of each, 0 to 1.
        threshold: A required share, drawn as a line.
    """
    figure = Figure(figsize=(4.8, 0.9 + 0.33 * len(labels)), layout="constrained")
    axes = figure.subplots()
    shares, low, high = 100 * np.array(intervals).T
    places = np.arange(len(labels))
    errors = np.maximum(0, [shares - low, high - shares])
    axes.errorbar(shares, places, xerr=errors, fmt="o", color=COLORS[0], capsize=3)
    for place, share in zip(places, shares, strict=True):
        axes.annotate(
            f"{share:.1f} %", (share, place), (0, 5), textcoords="offset points", ha="center"
        )
    if threshold is not None:
        axes.axvline(100 * threshold, color=COLORS[1], linestyle="--", label="required")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=1)
    axes.set_yticks(places, labels)
    axes.set(xlabel="agreement with the teacher (%)", ylim=(len(labels) - 0.5, -0.7))
    axes.margins(x=0.12)
    return figure


def hop_chart(hops: Sequence[Hop], threshold: float) -> Figure:
    """Return the agreement of each form of the student, with its interval."""
    intervals = [(hop.agreement, hop.low, hop.high) for hop in hops]
    return interval_chart([hop.form for hop in hops], intervals, threshold)


def target_chart(manifest: Manifest) -> Figure:
    """Return bars of the size and the latency of the models on each CPU target."""
    names, targets = list(manifest["targets"]), list(manifest["targets"].values())
    figure = Figure(figsize=(5.6, 1.1 + 0.55 * len(names)), layout="constrained")
    places = np.arange(len(names))
    left, right = figure.subplots(1, 2)
    for axes, key, factor in ((left, "bytes", 1e-3), (right, "milliseconds", 1.0)):
        for offset, precision, color in ((-0.2, "fp32", COLORS[1]), (0.2, "int8", COLORS[0])):
            values = [factor * (target[precision][key] or 0) for target in targets]
            bars = axes.barh(places + offset, values, 0.36, label=precision, color=color)
            axes.bar_label(bars, [_short(value) for value in values], padding=2)
        axes.set(ylim=(len(names) - 0.5, -0.5))
        axes.margins(x=0.25)
    left.set(xlabel="size (kB)")
    left.set_yticks(places, names)
    right.set(xlabel="latency of a batch (ms)", yticks=[])
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def training_chart(points: Sequence[dict[str, float]], kind: str, length: int, unit: str) -> Figure:
    """Return the curves of a training phase.

    Args:
        points: Values by name, at even spacing over the phase.
        kind: A key of `CURVES`.
        length: Length of the phase.
        unit: The unit of the length.
    """
    figure = Figure(figsize=(3.6, 2.7), layout="constrained")
    axes = figure.subplots()
    factor = 1 if kind == "losses" else 100
    for name in sorted({name for point in points for name in point}):
        values = [factor * point.get(name, float("nan")) for point in points]
        axes.plot(np.linspace(0, length, len(values)), values, label=name)
    axes.set(xlabel=unit, ylabel=CURVES[kind])
    if len(axes.lines) > 1:
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def class_chart(values: Sequence[float | None], label: str) -> Figure:
    """Return a value of each class as bars, or as a line if there are many classes.

    Args:
        values: The value of each class; None is left out.
        label: What the values are, with their unit.
    """
    figure = Figure(figsize=(4.6, 2.4), layout="constrained")
    axes = figure.subplots()
    numbers = [float("nan") if value is None else value for value in values]
    if len(numbers) <= MAX_BARS:
        axes.bar(range(len(numbers)), numbers, color=COLORS[0])
        axes.grid(visible=False, axis="x")
    else:
        axes.plot(numbers, drawstyle="steps-mid", linewidth=0.8, color=COLORS[0])
    axes.set(xlabel="class", ylabel=label)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def confusion_chart(counts: np.ndarray[Any, Any]) -> Figure:
    """Return how often the student predicts each class where the teacher predicts another.

    Args:
        counts: (K, K) number of probes, by teacher's and student's class.
    """
    classes = len(counts)
    size = max(3.2, min(6.0, 1.2 + 0.32 * classes))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    shares = 100 * counts / np.maximum(1, counts.sum(1, keepdims=True))
    # The page may be dark: only cells with probes are filled.
    axes.pcolormesh(
        np.ma.masked_equal(shares, 0), cmap="Blues", vmin=-40, vmax=100, edgecolors="none"
    )
    for row, column in np.argwhere(counts > 0):
        color = "#ffffff" if shares[row, column] > 45 else "#000000"
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{counts[row, column]}",
            ha="center",
            va="center",
            color=color,
            fontsize=7,
        )
    centers, names = np.arange(classes) + 0.5, [str(label) for label in range(classes)]
    axes.set_xticks(centers, names)
    axes.set_yticks(centers, names)
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    axes.set(
        xlabel="class that the student predicts (number of probes)",
        ylabel="class that the teacher predicts",
        xlim=(0, classes),
        ylim=(classes, 0),
        aspect="equal",
    )
    return figure


def _short(value: float) -> str:
    return "not measured" if value == 0 else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
