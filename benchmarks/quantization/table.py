"""benchmarks/results/quantization.md from its rows and from which images were answered rightly."""

import math
from statistics import mean

import numpy as np

from benchmarks.job_queue import Row
from benchmarks.quantization.jobs import CHOICES, FEW_BITS, SEEDS, TEACHERS, Job
from benchmarks.quantization.marks import Right

Marks = dict[str, Right]

BITS = ((8, 8), (4, 4))


def render(rows: list[Row], marks: Marks) -> str:
    """The page."""
    parts = [_heading(rows), _summary([r for r in rows if r["weight_bits"] == 8], marks)]
    for weight_bits, activation_bits in BITS:
        for teacher in TEACHERS:
            of_it = [
                row
                for row in rows
                if row["teacher"] == teacher
                and (row["weight_bits"], row["activation_bits"]) == (weight_bits, activation_bits)
            ]
            if of_it:
                parts.append(_table(of_it, marks))
    return "\n\n".join(parts) + "\n"


def _heading(rows: list[Row]) -> str:
    machines = "; ".join(sorted({row["machine"] for row in rows})) or "not measured"
    return (
        "# What quantization costs without data\n\n"
        "Accuracies in percent on the 10,000 real CIFAR-10 test images, which nothing learns from "
        "and nothing is chosen by. Each teacher is quantized as it is. Eight bits: weights "
        "symmetric per channel, activations symmetric, signed, per tensor; scored is the artifact "
        "that is compiled for this CPU, in ONNX Runtime. Four bits: weights of every layer, first "
        "and last too, symmetric per channel (GDFQ's are not symmetric); inputs of layers per "
        "tensor, unsigned after a ReLU, the pooled ones before the last layer too (in GDFQ's code "
        "they stay in float); images at eight bits (float there); all else in float as there. "
        "Scored is the fake-quantized network in torch. `against adversarial` is the paired "
        "difference over the same images and seeds, with its 95 % interval. gdfq and adadfq are "
        "the published losses and layouts at smaller sizes and a shorter warm-up, not the "
        "published runs; gdfq's loss is a mean over images, there it is one over their logits, so "
        "that its steps are ten times as long here. Both learn by SGD as there, which leaves "
        "ranges nearly where calibration put them, while the other choices that tune also learn "
        "the ranges below 8 bits."
        f"{_few_bits(rows)}\n\n"
        "Command: `python -m benchmarks.quantization --data DATA --teachers TEACHERS`.\n\n"
        f"Machine: {machines}."
    )


def _summary(rows: list[Row], marks: Marks) -> str:
    """Every choice over all teachers and seeds that ran."""
    lines = [
        "## All teachers, 8 bits",
        "",
        "| choice | teachers | runs | lost, mean of the teachers | most lost in a run "
        "| against adversarial |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for choice in CHOICES:
        of_it = [row for row in rows if row["choice"] == choice]
        lost = {
            teacher: [r["fp32"] - r["quantized"] for r in of_it if r["teacher"] == teacher]
            for teacher in dict.fromkeys(row["teacher"] for row in of_it)
        }
        if not lost:
            lines.append(f"| {choice} | 0 | 0 | not measured | - | - |")
            continue
        average = mean(mean(runs) for runs in lost.values())
        most = max(max(runs) for runs in lost.values())
        difference = _difference(list(lost), choice, (8, 8), marks)
        lines.append(
            f"| {choice} | {len(lost)} | {len(of_it)} | {average:.2f} | {most:.2f} | {difference} |"
        )
    return "\n".join(lines)


def _table(rows: list[Row], marks: Marks) -> str:
    first = rows[0]
    bits = (first["weight_bits"], first["activation_bits"])
    lines = [
        f"## {first['teacher']} ({first['fp32']:.2f}), {bits[0]} bits weights, "
        f"{bits[1]} bits activations",
        "",
        "| choice | seeds | quantized | lost | against adversarial | seconds | threads |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for choice in CHOICES:
        of_it = [row for row in rows if row["choice"] == choice]
        if not of_it:
            lines.append(f"| {choice} | 0 | not measured | - | - | - | - |")
            continue
        seconds = _range([round(row["seconds"]) for row in of_it])
        cores = _range([row["threads"] for row in of_it])
        scored = ", ".join(f"{row['quantized']:.2f}" for row in of_it)
        lost = first["fp32"] - mean(row["quantized"] for row in of_it)
        difference = _difference([first["teacher"]], choice, bits, marks)
        lines.append(
            f"| {choice} | {len(of_it)} | {scored} | {lost:.2f} | {difference} | {seconds} "
            f"| {cores} |"
        )
    for row in rows:
        if "parity_off" in row:
            lines += [
                "",
                f"On 2,000 probes ONNX Runtime answers as torch's fake-quantizers do in "
                f"{row['parity_off']:.2f} % without and {row['parity_on']:.2f} % with "
                f"optimizations, NNCF's in {row['parity_trained']:.2f} % (seed {row['seed']}).",
            ]
    return "\n".join(lines)


def _range(values: list[int]) -> str:
    return "-".join(str(value) for value in sorted({min(values), max(values)}))


def _difference(teachers: list[str], choice: str, bits: tuple[int, int], marks: Marks) -> str:
    """How much better a choice is than the adversarial one, in points, with its interval."""
    pairs = [
        [
            (marks[ours], marks[theirs])
            for seed in SEEDS
            if (ours := Job(teacher, choice, *bits, seed).key) in marks
            and (theirs := Job(teacher, "adversarial", *bits, seed).key) in marks
        ]
        for teacher in teachers
    ]
    if choice == "adversarial" or not all(pairs):
        return "-"
    points, reach = paired_interval(pairs)
    return f"{points:+.2f} [{points - reach:+.2f}, {points + reach:+.2f}]"


def paired_interval(pairs: list[list[tuple[Right, Right]]]) -> tuple[float, float]:
    """Mean difference in points, and half of its 95 % interval over images.

    Args:
        pairs: For each teacher, which counts once, and each of its runs, (N,) whether each image
            was answered rightly, by both.
    """
    differences = np.mean(
        [np.mean([a.astype(float) - b.astype(float) for a, b in runs], axis=0) for runs in pairs],
        axis=0,
    )
    reach = 1.96 * differences.std(ddof=1) / math.sqrt(len(differences))
    return 100 * float(differences.mean()), 100 * float(reach)


def _few_bits(rows: list[Row]) -> str:
    if all(row["weight_bits"] == 8 for row in rows):
        return ""
    settings = ", ".join(f"{name} {value:g}" for name, value in FEW_BITS["adversarial"].items())
    return (
        f" Below 8 bits the recipe of the three choices with our generator is changed ({settings}; "
        "the images alone have the same generator): chosen on training images of this very "
        "teacher's, by one seed ([what was tried](quantization_search.md)). gdfq and adadfq had no "
        "such search."
    )
