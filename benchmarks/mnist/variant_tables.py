"""Tables of recipes with and without one of their parts, for benchmarks/results/mnist.md."""

from statistics import mean

from benchmarks.job_queue import Row
from benchmarks.mnist.jobs import ABLATED, ABLATION, MECHANISM_TEACHERS, MECHANISMS
from benchmarks.mnist.rows import ACCURACIES, NOT_MEASURED, find, mean_and_deviation
from benchmarks.result_pages import markdown_table

ORIGINAL = "original"
"""Name of the unchanged recipe in the column of variants."""


def mechanism_table(rows: list[Row]) -> str:
    """Return the section that compares each of the first methods with and without its mechanism."""
    head = ["recipe", "variant", "teacher", "seeds", *ACCURACIES, "passes", "steps"]
    head += ["Frechet", "diversity"]
    body = []
    for name, variants in MECHANISMS.items():
        for teacher in MECHANISM_TEACHERS:
            measured = [find(rows, name, teacher, "common", v) for v in ("", *variants)]
            # Variants are compared on the seeds with which all of them were run.
            seeds = set.intersection(*({r["seed"] for r in found} or {0} for found in measured))
            for variant, all_seeds in zip(("", *variants), measured, strict=True):
                found = [row for row in all_seeds if row["seed"] in seeds]
                if not found:
                    continue
                cells = [
                    mean_and_deviation([row[column] for row in found]) for column in ACCURACIES
                ]
                cells += [f"{mean(r[c] for r in found):,.0f}" for c in ("passes", "steps")]
                for extra in ("frechet", "diversity"):
                    values = [row[extra] for row in found if extra in row]
                    cells.append(mean_and_deviation(values) if values else "-")
                body.append([name, variant or ORIGINAL, teacher, str(len(found)), *cells])
    return (
        "## Five methods with and without their own mechanism\n\n"
        "At the common setting; all variants of a recipe have the same number of rounds. `Frechet` "
        "is the Frechet distance between synthetic images and 5,000 test images in the feature "
        "space of the teacher, `diversity` the root mean square distance between two synthetic "
        "images in that space. Neither is the Inception FID.\n\n"
        + (markdown_table(head, body) if body else NOT_MEASURED)
        + _ranges(rows)
    )


def _ranges(rows: list[Row]) -> str:
    """Return the range of the final accuracy, for RDSKD over weights and TA-DFKD over teachers."""
    cases = {
        "RDSKD, weights of certainty from 0.1 to 10 times the default, with its "
        "exponential wrapper": [
            ("rdskd", "lenet5-bn", variant) for variant in ("certainty x0.1", "", "certainty x10")
        ],
        "RDSKD, the same weights, plain sum": [
            ("rdskd", "lenet5-bn", f"plain sum x{factor}") for factor in ("0.1", "1", "10")
        ],
        "TA-DFKD, three teachers, with selection": [
            ("ta-dfkd", teacher, "") for teacher in MECHANISM_TEACHERS
        ],
        "TA-DFKD, three teachers, without selection": [
            ("ta-dfkd", teacher, "without selection") for teacher in MECHANISM_TEACHERS
        ],
    }
    lines = []
    for case, runs in cases.items():
        finals = [
            row["final"]
            for name, teacher, variant in runs
            for row in find(rows, name, teacher, "common", variant)
            if row["seed"] == 0
        ]
        complete = len(finals) == len(runs)
        extent = f"{max(finals) - min(finals):.2f}" if complete else NOT_MEASURED
        lines.append(f"- {case}: {extent}")
    return "\n\nRange of `final` (largest minus smallest), seed 0:\n\n" + "\n".join(lines)


def ablation_table(rows: list[Row]) -> str:
    """Return the section about the house recipe without each of its parts."""
    head = ["variant", *(f"{teacher}: held-out / final" for teacher in ABLATED)]
    body = []
    for variant in ("", *ABLATION):
        cells = []
        for teacher in ABLATED:
            found = [r for r in find(rows, "house", teacher, "own", variant) if r["seed"] == 0]
            cells.append(
                f"{found[0]['held_out']:.2f} / {found[0]['final']:.2f}" if found else NOT_MEASURED
            )
        body.append([variant or ORIGINAL, *cells])
    title = "## The house recipe with one part removed or replaced, seed 0"
    return f"{title}\n\n{markdown_table(head, body)}"
