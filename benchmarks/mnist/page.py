"""Render benchmarks/results/mnist.md from the rows of mnist.json."""

from statistics import mean

from benchmarks.job_queue import Row
from benchmarks.mnist.jobs import (
    CIFAR_PASSES,
    FIRST_METHODS,
    LONG_PASSES,
    PASSES,
    affordable,
    setting_of,
    suits,
)
from benchmarks.mnist.rows import ACCURACIES, NOT_MEASURED, find, find_shown, mean_and_deviation
from benchmarks.mnist.teachers import CIFAR_TEACHER, MAIN_TEACHERS, TEACHERS
from benchmarks.mnist.variant_tables import ablation_table, mechanism_table
from benchmarks.result_pages import markdown_table
from dfkd.recipes import PUBLISHED

NAMES = ("house", *(recipe.name for recipe in PUBLISHED))
"""Recipes of the table."""

COUNTS = ("passes", "images", "steps", "seconds")


def render(rows: list[Row], chosen: dict[str, str]) -> str:
    """Return the page as Markdown.

    Args:
        rows: The measured rows.
        chosen: The better setting of each recipe that was measured at both.
    """
    parts = [
        _heading(rows),
        *(_main_table(rows, chosen, teacher) for teacher in MAIN_TEACHERS),
        _long_table(rows),
        _teacher_table(rows, chosen),
        _cifar_table(rows, chosen),
        mechanism_table(rows),
        ablation_table(rows),
        _setting_table(rows, chosen),
    ]
    return "\n\n".join(parts) + "\n"


def _heading(rows: list[Row]) -> str:
    machines = sorted({row["machine"] for row in rows})
    return (
        "# Data-free distillation on MNIST\n\n"
        "Accuracies are in percent on the 10,000 real test images. They are used for scoring only: "
        "no training and no choice of a setting sees them.\n\n"
        f"- Budget: every run may use {PASSES:,} teacher passes, in whole rounds. Per image, a "
        "forward pass counts 1 and a forward pass with backward pass 3.\n"
        "- Student: LeNet-5-half. It has batch norm during training, which the export folds into "
        "the convolutions.\n"
        "- `final` is the accuracy of the last student, not of the best one. `mu` and `deviation` "
        "are the mean and the standard deviation of 40 evaluations, which are spread evenly over "
        "the student steps; `last10` is the mean of the last ten of them, `peak` the best.\n"
        "- `seconds` were measured with one thread, beside another run and at times other work.\n"
        "- Setting: `own` is the house recipe; `paper` uses the published defaults of a method; "
        "`common` gives every method the network sizes and learning rates of the house recipe, "
        "which were chosen on held-out training images ([all trials](held_out_search.md)). For "
        "the published methods only two values were searched, which are not published: the inner "
        "learning rate of LRA and the temperature of MAD.\n\n"
        "Command: `python -m benchmarks.mnist --data DATA --teachers TEACHERS`. mnist.json has the "
        "command of each row.\n\n"
        f"Machine: {'; '.join(machines) or NOT_MEASURED}."
    )


def _main_table(rows: list[Row], chosen: dict[str, str], teacher: str) -> str:
    head = ["recipe", "setting", "seeds", *ACCURACIES, *COUNTS, "memory MB"]
    body = []
    for name in NAMES:
        setting, found = find_shown(rows, name, teacher, chosen)
        if not suits(name, teacher):
            body.append([name, "needs batch norm", *["-"] * (len(head) - 2)])
        elif not found:
            body.append([name, NOT_MEASURED, *["-"] * (len(head) - 2)])
        else:
            accuracies = [mean_and_deviation([row[c] for row in found]) for c in ACCURACIES]
            counts = [f"{mean(row[c] for row in found):,.0f}" for c in COUNTS]
            memory = f"{max(row['memory_mb'] for row in found)}"
            body.append([name, setting, str(len(found)), *accuracies, *counts, memory])
    title = f"## Teacher {teacher}"
    if measured := _teacher_accuracy(rows, teacher):
        title += f" ({measured})"
    notes = sorted(
        {
            f"- {row['key']}: {event}"
            for row in rows
            for event in row["health"]
            if row["teacher"] == teacher and not row["variant"]
        }
    )
    events = "\n\nRuns that were rolled back:\n\n" + "\n".join(notes) if notes else ""
    return f"{title}\n\n{markdown_table(head, body)}{events}"


def _teacher_accuracy(rows: list[Row], teacher: str) -> str:
    measured = [row["teacher_accuracy"] for row in rows if row["teacher"] == teacher]
    return f"{measured[0]:.2f}" if measured else ""


def _long_table(rows: list[Row]) -> str:
    found = find(rows, "house", "lenet5", "long")
    head = ["seed", *ACCURACIES, "steps", "passes", "seconds"]
    body = [
        [
            str(row["seed"]),
            *(f"{row[column]:.2f}" for column in ACCURACIES),
            f"{row['steps']:,}",
            f"{row['passes']:,}",
            f"{row['seconds']:.0f}",
        ]
        for row in found
    ]
    average = f"\n\nMean final: {mean_and_deviation([r['final'] for r in found])}." if found else ""
    return (
        f"## The house recipe with {LONG_PASSES:,} passes, LeNet-5 -> LeNet-5-half\n\n"
        + (markdown_table(head, body) if body else NOT_MEASURED)
        + average
    )


def _teacher_table(rows: list[Row], chosen: dict[str, str]) -> str:
    names = ("house", *FIRST_METHODS, "dafl")
    head = ["teacher", "accuracy of the teacher", *names]
    body = []
    for teacher in (name for name in TEACHERS if name != CIFAR_TEACHER):
        cells = []
        for name in names:
            setting, found = find_shown(rows, name, teacher, chosen)
            final = next((row["final"] for row in found if row["seed"] == 0), None)
            if not suits(name, teacher):
                cells.append("needs batch norm")
            elif final is None:
                cells.append(NOT_MEASURED)
            elif setting == setting_of(name, chosen):
                cells.append(f"{final:.2f}")
            else:
                cells.append(f"{final:.2f} ({setting})")
        body.append([teacher, _teacher_accuracy(rows, teacher) or NOT_MEASURED, *cells])
    text = markdown_table(head, body)
    note = "(common): the recipe's better setting is `paper`, which was not run with this teacher."
    return "\n\n".join(("## Other teachers: final, seed 0", text, *[note] * ("(common)" in text)))


def _cifar_table(rows: list[Row], chosen: dict[str, str]) -> str:
    head = ["recipe", "setting", *ACCURACIES, "steps", "seconds"]
    body = []
    for name in ("house", "dfq-akd"):
        setting, found = find_shown(rows, name, CIFAR_TEACHER, chosen)
        if found:
            row = found[0]
            cells = [f"{row[column]:.2f}" for column in ACCURACIES]
            body.append([name, setting, *cells, f"{row['steps']:,}", f"{row['seconds']:.0f}"])
        else:
            body.append([name, NOT_MEASURED, *["-"] * (len(head) - 2)])
    return (
        f"## CIFAR-10, ResNet-20 -> ResNet-20 with {CIFAR_PASSES:,} passes, seed 0\n\n"
        "Much shorter than the published runs, so that two CPU cores can do them.\n\n"
        + markdown_table(head, body)
    )


def _setting_table(rows: list[Row], chosen: dict[str, str]) -> str:
    head = ["recipe", "seeds", "common: held-out / final", "paper: held-out / final", "shown"]
    body = []
    for recipe in PUBLISHED:
        both = {s: find(rows, recipe.name, "lenet5-bn", s) for s in ("common", "paper")}
        measured = [{row["seed"] for row in found} for found in both.values()]
        seeds = set.intersection(*measured) or set.union(*measured)
        cells = []
        for setting, found in both.items():
            shared = [row for row in found if row["seed"] in seeds]
            text = " / ".join(
                f"{mean(r[c] for r in shared):.2f}" for c in ("held_out", "final") if shared
            )
            if setting == "paper" and not affordable(recipe):
                text = "one batch costs more than the budget"
            cells.append(text or NOT_MEASURED)
        body.append([recipe.name, str(len(seeds)), *cells, setting_of(recipe.name, chosen)])
    return (
        "## Settings: the published defaults and the common setting, teacher lenet5-bn\n\n"
        "The tables above show the setting that is better on the 5,000 held-out training images, "
        "over the seeds that were run at both settings. A published setting that is worse at seed "
        "0 was not run with other seeds.\n\n" + markdown_table(head, body)
    )
