"""Render the table as Markdown."""

from collections.abc import Sequence
from statistics import mean

from benchmarks.job_queue import Row
from benchmarks.result_pages import markdown_table
from benchmarks.start.jobs import JOBS, PAIRS, SEEDS

HEAD = [
    *("teacher", "student", "steps", "start", "before training %"),
    *(f"seed {seed} %" for seed in SEEDS),
    *("mean %", "teacher %", "minutes"),
]


def render(rows: Sequence[Row], missing: int) -> str:
    """Return the page.

    Args:
        rows: The measured rows.
        missing: Number of runs that are not measured yet.
    """
    groups = dict.fromkeys((job.teacher, job.steps, job.start) for job in JOBS)
    ordered = sorted(groups, key=lambda group: (list(PAIRS).index(group[0]), group[1]))
    machines = sorted({row["machine"] for row in rows})
    return (
        "\n\n".join(
            [
                "# Students that start from the teacher",
                "Each student has half the teacher's width. It is trained by the project's "
                "command with the recipe `house` and a small budget, with "
                "`student.start: random` or `teacher`. The accuracies are those of the float "
                "student, as compiled for this CPU, on the 10,000 MNIST test images. `before "
                "training` is the accuracy of the first seed's student before the first step.",
                markdown_table(HEAD, [_line(*group, rows) for group in ordered]),
                "Minutes are those of the whole run; the runs shared the machine with other work.",
                f"Not measured yet: {missing}. Command: `python -m benchmarks.start --data DATA "
                f"--state STATE`. Machine: {'; '.join(machines)}.",
            ]
        )
        + "\n"
    )


def _line(teacher: str, steps: int, start: str, rows: Sequence[Row]) -> list[object]:
    found = {
        row["seed"]: row
        for row in rows
        if (row["teacher"], row["steps"], row["start"]) == (teacher, steps, start)
    }
    pair = PAIRS[teacher]
    width = "" if pair.width == 1 else f", width {pair.width:g}"
    scores = [f"{found[seed]['fp32']:.2f}" if seed in found else "not measured" for seed in SEEDS]
    names = [teacher, f"{pair.architecture}{width}", f"{steps:,}", start]
    if not found:
        return [*names, "not measured", *scores, *["not measured"] * 3]
    some = next(iter(found.values()))
    minutes = mean(sum(row["seconds"].values()) / 60 for row in found.values())
    return [
        *names,
        f"{found[min(found)]['untrained']:.2f}",
        *scores,
        f"{mean(row['fp32'] for row in found.values()):.2f}",
        f"{some['teacher_accuracy']:.2f}",
        f"{minutes:.1f}",
    ]
