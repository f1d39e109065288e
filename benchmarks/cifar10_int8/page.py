"""Render the table as Markdown."""

import json
from collections.abc import Sequence
from statistics import mean

from benchmarks import result_pages
from benchmarks.job_queue import Row
from benchmarks.paired_scores import mean_drop
from benchmarks.result_pages import markdown_table

HEAD = [
    *("network", "method", "seeds", "float %", "int8 %", "drop, points [95 %]", "largest drop"),
    *("drop before", "change"),
]

OLD_CHOICES = {"generator-images": "generator images", "adversarial": "adversarial"}
"""Names of the methods in the quantization table."""


def render(rows: Sequence[Row], missing: int) -> str:
    """Return the page.

    Args:
        rows: The measured rows.
        missing: Number of runs that are not measured yet.
    """
    before = _old_drops()
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["network"], row["method"]), []).append(row)
    machines = sorted({row["machine"] for row in rows})
    return (
        "\n\n".join(
            [
                "# Int8 networks on the CIFAR-10 test images",
                "Each network is quantized by the project's command at default settings, without "
                "data, and compiled for this CPU. Float and int8 graphs are scored in ONNX Runtime "
                "on the 10,000 test images. The interval is paired and covers the choice of the "
                "test images, not the choice of seeds. `drop before` is the drop of the same seeds "
                "in the [quantization table](quantization.md), which is older than the placement "
                "of fake-quantizers by the function graph and than `quantize.adjust`; `change` is "
                "the difference.",
                "`resnet8` and `mobilenet_quarter` are like those of MLPerf Tiny, with the "
                "padding of TensorFlow and raw pixels from 0 to 255; the benchmark trains them on "
                "all training images (`benchmarks/teachers/*/scores.json`). The others were "
                "trained by others.",
                markdown_table(HEAD, [_line(*key, found, before) for key, found in groups.items()]),
                markdown_table(
                    ["network", "method", "seed", "int8 %", "integer layers", "minutes", "GiB"],
                    map(_cells, rows),
                ),
                "Minutes are those of the whole run; some runs shared the machine with other work.",
                f"Not measured yet: {missing}. Command: `python -m benchmarks.cifar10_int8 --data "
                f"DATA --teachers TEACHERS --state STATE`. Machine: {'; '.join(machines)}.",
            ]
        )
        + "\n"
    )


def _old_drops() -> dict[tuple[str, str, int], float]:
    path = result_pages.RESULTS / "quantization.json"
    old = json.loads(path.read_text()) if path.exists() else []
    return {
        (row["teacher"], row["choice"], row["seed"]): row["fp32"] - row["quantized"]
        for row in old
        if row["weight_bits"] == row["activation_bits"] == 8
    }


def _line(
    network: str, method: str, rows: Sequence[Row], before: dict[tuple[str, str, int], float]
) -> list[object]:
    points, half = mean_drop(rows)
    keys = [(network, OLD_CHOICES[method], row["seed"]) for row in rows]
    old = mean(before[key] for key in keys) if all(key in before for key in keys) else None
    return [
        *(network, method, ", ".join(str(row["seed"]) for row in rows)),
        *(f"{rows[0]['fp32']:.2f}", f"{mean(row['int8'] for row in rows):.2f}"),
        f"{points:.2f} [{points - half:.2f}, {points + half:.2f}]",
        f"{max(row['fp32'] - row['int8'] for row in rows):.2f}",
        *(("", "") if old is None else (f"{old:.2f}", f"{points - old:+.2f}")),
    ]


def _cells(row: Row) -> list[object]:
    return [
        *(row["network"], row["method"], row["seed"], f"{row['int8']:.2f}"),
        f"{row['integer_layers']}/{row['layers']}",
        *(round(sum(row["seconds"].values()) / 60, 1), row["peak_gib"]),
    ]
