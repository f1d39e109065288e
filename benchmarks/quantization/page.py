"""Render benchmarks/results/quantization.md from its rows and the correctly classified images."""

import math
from statistics import mean

import numpy as np

from benchmarks.job_queue import Row
from benchmarks.quantization.correct_images import Correct
from benchmarks.quantization.jobs import CHOICES, FEW_BITS, SEEDS, TEACHERS, Job
from benchmarks.result_pages import markdown_table

BITS = ((8, 8), (4, 4))
"""Number of bits of weights and of activations."""

SUMMARY_HEAD = (
    "choice",
    "teachers",
    "runs",
    "accuracy lost, mean over teachers",
    "most lost in one run",
    "against adversarial",
)

TEACHER_HEAD = (
    "choice",
    "seeds",
    "quantized",
    "accuracy lost",
    "against adversarial",
    "seconds",
    "threads",
)


def render(rows: list[Row], correct: dict[str, Correct]) -> str:
    """Return the page as Markdown."""
    parts = [_heading(rows), _summary([r for r in rows if r["weight_bits"] == 8], correct)]
    for bits in BITS:
        for teacher in TEACHERS:
            matching = [
                row
                for row in rows
                if row["teacher"] == teacher
                and (row["weight_bits"], row["activation_bits"]) == bits
            ]
            if matching:
                parts.append(_teacher_table(matching, correct))
    return "\n\n".join(parts) + "\n"


def _heading(rows: list[Row]) -> str:
    machines = "; ".join(sorted({row["machine"] for row in rows})) or "not measured"
    return (
        "# What quantization costs without data\n\n"
        "Accuracies are in percent on the 10,000 real CIFAR-10 test images. They are used for "
        "scoring only. The student is the teacher itself, quantized. `against adversarial` is the "
        "difference to the adversarial choice, paired over the same images and seeds, with its "
        "95 % interval. Ranges and scales are not adjusted before the fine-tuning "
        "(`quantize.adjust: off`).\n\n"
        "**8 bits.** Weights are symmetric per channel; activations are symmetric, signed and per "
        "tensor. The score is that of the graph compiled for this CPU, in ONNX Runtime.\n\n"
        "**4 bits.** The score is that of the fake-quantized network in torch. Weights of every "
        "layer, the first and the last too, are symmetric per channel (in GDFQ's code they are "
        "asymmetric). Layer inputs are per tensor, and unsigned after a ReLU; this includes the "
        "pooled input of the last layer, which GDFQ's code keeps in float. Images have 8 bits "
        "(float in GDFQ's code). Everything else stays in float, as there.\n\n"
        "**gdfq and adadfq** are the published losses and layouts with smaller sizes and a shorter "
        "warm-up, not the published runs. The published loss of gdfq is a mean over all logits, "
        "here it is a mean over images, so its steps are ten times as large. Both learn by SGD, as "
        "published, which hardly moves the calibrated ranges. The other choices that fine-tune "
        f"also learn the ranges below 8 bits.{_few_bits(rows)}\n\n"
        "Command: `python -m benchmarks.quantization --data DATA --teachers TEACHERS`.\n\n"
        f"Machine: {machines}."
    )


def _few_bits(rows: list[Row]) -> str:
    if all(row["weight_bits"] == 8 for row in rows):
        return ""
    settings = ", ".join(f"{name} {value:g}" for name, value in FEW_BITS["adversarial"].items())
    return (
        "\n\n**Search.** Below 8 bits, the three choices that use the house generator have changed "
        f"settings ({settings}; for generator images only those of the generator). They were "
        "chosen with one seed on training images of this teacher "
        "([all trials](quantization_search.md)). gdfq and adadfq had no such search."
    )


def _summary(rows: list[Row], correct: dict[str, Correct]) -> str:
    """Return a table of all choices, over all teachers and seeds that ran."""
    body: list[list[object]] = []
    for choice in CHOICES:
        matching = [row for row in rows if row["choice"] == choice]
        lost = {
            teacher: [r["fp32"] - r["quantized"] for r in matching if r["teacher"] == teacher]
            for teacher in dict.fromkeys(row["teacher"] for row in matching)
        }
        if not lost:
            body.append([choice, 0, 0, "not measured", "-", "-"])
            continue
        average = mean(mean(runs) for runs in lost.values())
        most = max(max(runs) for runs in lost.values())
        difference = _difference(list(lost), choice, (8, 8), correct)
        runs = len(matching)
        body.append([choice, len(lost), runs, f"{average:.2f}", f"{most:.2f}", difference])
    return f"## All teachers, 8 bits\n\n{markdown_table(SUMMARY_HEAD, body)}"


def _teacher_table(rows: list[Row], correct: dict[str, Correct]) -> str:
    first = rows[0]
    bits = (first["weight_bits"], first["activation_bits"])
    body: list[list[object]] = []
    for choice in CHOICES:
        matching = [row for row in rows if row["choice"] == choice]
        if not matching:
            body.append([choice, 0, "not measured", "-", "-", "-", "-"])
            continue
        scores = ", ".join(f"{row['quantized']:.2f}" for row in matching)
        lost = first["fp32"] - mean(row["quantized"] for row in matching)
        difference = _difference([first["teacher"]], choice, bits, correct)
        seconds = _range([round(row["seconds"]) for row in matching])
        threads = _range([row["threads"] for row in matching])
        cells = [scores, f"{lost:.2f}", difference, seconds, threads]
        body.append([choice, len(matching), *cells])
    title = (
        f"## {first['teacher']} ({first['fp32']:.2f}), {bits[0]}-bit weights, "
        f"{bits[1]}-bit activations"
    )
    return "\n\n".join((title, markdown_table(TEACHER_HEAD, body), *_parity(rows)))


def _parity(rows: list[Row]) -> list[str]:
    return [
        "Share of 2,000 probes for which the predicted class is that of torch's fake-quantizers: "
        f"ONNX Runtime without optimizations {row['parity_off']:.2f} %, with optimizations "
        f"{row['parity_on']:.2f} %, NNCF's fake-quantizers {row['parity_trained']:.2f} % "
        f"(seed {row['seed']})."
        for row in rows
        if "parity_off" in row
    ]


def _range(values: list[int]) -> str:
    return "-".join(str(value) for value in sorted({min(values), max(values)}))


def _difference(
    teachers: list[str], choice: str, bits: tuple[int, int], correct: dict[str, Correct]
) -> str:
    """Return by how many points a choice is better than the adversarial one, with its interval."""
    pairs = [
        [
            (correct[ours], correct[theirs])
            for seed in SEEDS
            if (ours := Job(teacher, choice, *bits, seed).key) in correct
            and (theirs := Job(teacher, "adversarial", *bits, seed).key) in correct
        ]
        for teacher in teachers
    ]
    if choice == "adversarial" or not all(pairs):
        return "-"
    points, half_width = paired_interval(pairs)
    return f"{points:+.2f} [{points - half_width:+.2f}, {points + half_width:+.2f}]"


def paired_interval(pairs: list[list[tuple[Correct, Correct]]]) -> tuple[float, float]:
    """Return the mean difference in percentage points and half its 95 % interval over images.

    Args:
        pairs: One list for each teacher, with the two arrays (N,) of each run. Each teacher has the
            same weight, whatever its number of runs.
    """
    differences = np.mean(
        [np.mean([a.astype(float) - b.astype(float) for a, b in runs], axis=0) for runs in pairs],
        axis=0,
    )
    half_width = 1.96 * differences.std(ddof=1) / math.sqrt(len(differences))
    return 100 * float(differences.mean()), 100 * float(half_width)
