"""Render the table as Markdown."""

from collections.abc import Sequence
from statistics import mean

from benchmarks.job_queue import Row
from benchmarks.paired_scores import mean_drop
from benchmarks.result_pages import markdown_table

HEAD = [
    *("teacher", "file", "student", "seed", "teacher %", "float %", "int8 %"),
    *("int8 drop, points [95 %]", "minutes", "GiB"),
]


def render(rows: Sequence[Row], missing: int) -> str:
    """Return the page.

    Args:
        rows: The measured rows.
        missing: Number of runs that are not measured yet.
    """
    machines = sorted({row["machine"] for row in rows})
    return (
        "\n\n".join(
            [
                "# Teachers that are ONNX files",
                "Each run knows the teacher's ONNX file only. The file is written by torch's "
                "exporter from a network with batch norms, all of which it folds. `state dict` "
                "rows use the same settings and the same seed, but the teacher's state dict and "
                "architecture. Student `same` is the teacher itself, quantized with images of a "
                "generator. Float and int8 graphs are compiled by the run and scored in ONNX "
                "Runtime on real test images: 10,000 of MNIST or CIFAR-10, or 500 photographs. "
                "The interval is paired and covers the choice of the images.",
                markdown_table(HEAD, map(_cells, rows)),
                *_comparison(rows),
                "Minutes are those of the whole run; some runs shared the machine with other work.",
                f"Not measured yet: {missing}. Command: `python -m benchmarks.onnx_teachers --data "
                f"DATA --teachers TEACHERS --state STATE`. Machine: {'; '.join(machines)}.",
            ]
        )
        + "\n"
    )


def _cells(row: Row) -> list[object]:
    points, half = mean_drop([row])
    return [
        *(row["teacher"], row["file"], row["student"], row["seed"]),
        *(f"{row['teacher_percent']:.2f}", f"{row['fp32']:.2f}", f"{row['int8']:.2f}"),
        f"{points:.2f} [{points - half:.2f}, {points + half:.2f}]",
        *(round(sum(row["seconds"].values()) / 60, 1), row["peak_gib"]),
    ]


def _comparison(rows: Sequence[Row]) -> list[str]:
    """Return the loss of distillation from the ONNX file, for each pair with both files."""
    found: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for row in rows:
        if row["student"] != "same":
            files = found.setdefault((row["teacher"], row["student"]), {})
            files.setdefault(row["file"], {})[row["seed"]] = row["int8"]
    lines = []
    for (teacher, student), files in found.items():
        seeds = sorted(set(files.get("onnx", {})) & set(files.get("state dict", {})))
        if seeds:
            means = {name: mean(scores[seed] for seed in seeds) for name, scores in files.items()}
            lines.append(
                f"- {teacher} to {student}, seeds {', '.join(map(str, seeds))}: the int8 student "
                f"has {means['onnx']:.2f} % from the ONNX file and {means['state dict']:.2f} % "
                f"from the state dict, a difference of {means['onnx'] - means['state dict']:+.2f} "
                "points."
            )
    return ["\n".join(lines)] if lines else []
