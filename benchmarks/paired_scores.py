"""Compare the float and the int8 graph of a network on the same labelled images."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from torch import Tensor

from benchmarks.job_queue import Row
from targets.cpu.session import open_session, predict


def paired_scores(graphs: Mapping[str, Path], images: Tensor, labels: Tensor) -> Row:
    """Return accuracies in percent, and the numbers of images that only one graph classifies right.

    Args:
        graphs: The graphs "fp32" and "int8".
        images: Normalised images (N, C, H, W).
        labels: Their classes (N,).
    """
    right = {
        name: predict(open_session(graph, threads=0), images.numpy()).argmax(1) == labels.numpy()
        for name, graph in graphs.items()
    }
    return {
        "fp32": round(100 * float(right["fp32"].mean()), 2),
        "int8": round(100 * float(right["int8"].mean()), 2),
        "only_fp32_right": int(np.sum(right["fp32"] & ~right["int8"])),
        "only_int8_right": int(np.sum(right["int8"] & ~right["fp32"])),
        "images": len(labels),
    }


def mean_drop(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the mean loss of int8 in points, and half the width of its 95 % interval.

    The interval is that of paired differences on the same images. It covers the choice of the test
    images, not that of the seeds.

    Args:
        rows: Results of `paired_scores`, one for each seed.
    """
    images = rows[0]["images"]
    difference = mean((r["only_fp32_right"] - r["only_int8_right"]) / images for r in rows)
    # The differences of the seeds share their images: take the mean variance, as if they were one.
    variance = mean(
        ((r["only_fp32_right"] + r["only_int8_right"]) / images - difference**2) / images
        for r in rows
    )
    return 100 * difference, 196 * math.sqrt(max(0.0, variance))
