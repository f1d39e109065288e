"""Charts of several runs side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pipeline.bundle.comparison import ComparedRun
from pipeline.bundle.hop_losses import HOPS
from pipeline.bundle.svg_figures import COLORS

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Markers of runs, so that they differ without colors too."""


def agreements_chart(runs: Sequence[ComparedRun]) -> Figure:
    """Return the agreement of each form of the student in several runs, with its interval.

    Runs without figures of their hops have only the compiled student.

    Args:
        runs: Runs with a verdict.
    """
    forms = [form for form, _ in HOPS.values()]
    figure = Figure(figsize=(5.6, 1.4 + 0.7 * (1 + len(runs))), layout="constrained")
    axes = figure.subplots()
    for index, run in enumerate(runs):
        places, intervals = [], []
        offset = 0.7 * ((index + 0.5) / len(runs) - 0.5)
        for hop in run.hops:
            places.append(forms.index(hop.form) + offset)
            intervals.append((hop.agreement, hop.low, hop.high))
        if not run.hops:
            figures = run.figures
            places.append(len(forms) - 1 + offset)
            intervals.append((figures.agreement or 0, figures.low or 0, figures.high or 0))
        shares, low, high = 100 * np.array(intervals).T
        axes.errorbar(
            shares,
            places,
            xerr=np.maximum(0, [shares - low, high - shares]),
            fmt=MARKERS[index % len(MARKERS)],
            color=COLORS[index % len(COLORS)],
            capsize=3,
            label=run.title,
        )
    axes.set_yticks(np.arange(len(forms)), forms)
    axes.set(xlabel="agreement with the teacher (%)", ylim=(len(forms) - 0.5, -0.5))
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def trade_off_chart(runs: Sequence[ComparedRun]) -> Figure:
    """Return the agreement of the int8 models over their size and over their latency.

    Each run and target is a point. A model that was not timed has no point for its latency.

    Args:
        runs: Runs with a verdict.
    """
    figure = Figure(figsize=(5.6, 2.8 + 0.12 * len(runs)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for index, run in enumerate(runs):
        marker, color = MARKERS[index % len(MARKERS)], COLORS[index % len(COLORS)]
        for name, target in run.figures.targets.items():
            label = f"{run.title}, {name}" if len(run.figures.targets) > 1 else run.title
            point = [100 * target.int8_agreement]
            size = [target.int8_bytes / 1000]
            left.plot(size, point, marker, color=color, label=label)
            if target.int8_ms is not None:
                right.plot([target.int8_ms], point, marker, color=color)
    left.set(xlabel="size of the int8 model (kB)", ylabel="agreement (%)")
    right.set(xlabel="latency of a batch (ms)")
    for axes in (left, right):
        axes.margins(0.15)
    figure.legend(loc="outside upper center", ncols=2)
    return figure
