"""benchmarks/results/mnist.md from the rows of mnist.json."""

from statistics import mean

from benchmarks.job_queue import Row
from benchmarks.mnist.jobs import (
    ABLATED,
    ABLATION,
    CIFAR_PASSES,
    CIFAR_TEACHER,
    LONG_PASSES,
    MAIN_TEACHERS,
    MECHANISMS,
    PASSES,
    SEED_METHODS,
    TEACHERS,
    affordable,
    setting_of,
    suits,
)
from benchmarks.mnist.rows import find, shown, spread, table
from dfkd.recipes import PUBLISHED

NOT_MEASURED = "not measured"

NAMES = ("house", *(recipe.name for recipe in PUBLISHED))


def render(rows: list[Row], chosen: dict[str, str]) -> str:
    """All tables as one Markdown document."""
    parts = [
        _heading(rows),
        *(_equal_budget(rows, chosen, teacher) for teacher in MAIN_TEACHERS),
        _long(rows),
        _teachers(rows, chosen),
        _cifar(rows, chosen),
        _mechanisms(rows),
        _ablation(rows),
        _settings(rows, chosen),
    ]
    return "\n\n".join(parts) + "\n"


def _heading(rows: list[Row]) -> str:
    machines = sorted({row["machine"] for row in rows})
    return (
        "# Data-free methods on MNIST, one bench\n\n"
        "Accuracies in percent on the 10,000 real test images, which nothing learns from and "
        f"nothing is chosen by. Every run spends at most {PASSES:,} teacher passes (a forward "
        "counts 1, a forward with backward 3, per image), in whole rounds. Student: LeNet-5-half "
        "with batch norm while it learns, which the export folds away. mu and deviation are over "
        "40 evaluations, evenly over the student's steps, last10 over the last ten; the final "
        "student is the last one, never the best. Seconds are those of one thread with another run "
        "and at times other work beside it. The common setting's sizes and rates are those the "
        "house recipe was searched with, on held-out training images (held_out_search.md); for "
        "the others LRA's inner rate and MAD's temperature alone were searched, which are not "
        "published.\n\n"
        "Command: `python -m benchmarks.mnist --data DATA --teachers TEACHERS`; a single row: the "
        "command in mnist.json.\n\n"
        f"Machine: {'; '.join(machines) or NOT_MEASURED}."
    )


SUMS = ("passes", "images", "steps", "seconds")

COLUMNS = ("final", "mu", "deviation", "peak", "last10")


def _equal_budget(rows: list[Row], chosen: dict[str, str], teacher: str) -> str:
    head = ["recipe", "setting", "seeds", *COLUMNS, *SUMS, "memory MB"]
    body = []
    for name in NAMES:
        setting, found = shown(rows, name, teacher, chosen)
        if not suits(name, teacher):
            body.append([name, "needs batch norm", *["-"] * (len(head) - 2)])
        elif not found:
            body.append([name, NOT_MEASURED, *["-"] * (len(head) - 2)])
        else:
            cells = [spread([row[column] for row in found]) for column in COLUMNS]
            sums = [f"{mean(r[c] for r in found):,.0f}" for c in SUMS]
            memory = f"{max(row['memory_mb'] for row in found)}"
            body.append([name, setting, str(len(found)), *cells, *sums, memory])
    reached = [row["teacher_accuracy"] for row in rows if row["teacher"] == teacher]
    title = f"## Teacher {teacher}" + (f" ({reached[0]:.2f})" if reached else "")
    notes = sorted(
        {
            f"- {row['key']}: {event}"
            for row in rows
            for event in row["health"]
            if row["teacher"] == teacher and not row["variant"]
        }
    )
    events = "\n\nRoll-backs:\n\n" + "\n".join(notes) if notes else ""
    return f"{title}\n\n{table(head, body)}{events}"


def _long(rows: list[Row]) -> str:
    found = find(rows, "house", "lenet5", "long")
    head = ["seed", *COLUMNS, "steps", "passes", "seconds"]
    body = [
        [
            str(row["seed"]),
            *(f"{row[column]:.2f}" for column in COLUMNS),
            f"{row['steps']:,}",
            f"{row['passes']:,}",
            f"{row['seconds']:.0f}",
        ]
        for row in found
    ]
    average = f"\n\nMean final: {spread([r['final'] for r in found])}." if found else ""
    return (
        f"## The house recipe with {LONG_PASSES:,} passes, LeNet-5 -> LeNet-5-half\n\n"
        + (table(head, body) if body else NOT_MEASURED)
        + average
    )


def _teachers(rows: list[Row], chosen: dict[str, str]) -> str:
    names = ("house", *SEED_METHODS, "dafl")
    head = ["teacher", "itself", *names]
    body = []
    for teacher in (name for name in TEACHERS if name != CIFAR_TEACHER):
        reached = [row["teacher_accuracy"] for row in rows if row["teacher"] == teacher]
        cells = []
        for name in names:
            setting, found = shown(rows, name, teacher, chosen)
            final = next((row["final"] for row in found if row["seed"] == 0), None)
            if not suits(name, teacher):
                cells.append("needs batch norm")
            elif final is None:
                cells.append(NOT_MEASURED)
            elif setting == setting_of(name, chosen):
                cells.append(f"{final:.2f}")
            else:
                cells.append(f"{final:.2f} ({setting})")
        body.append([teacher, f"{reached[0]:.2f}" if reached else NOT_MEASURED, *cells])
    text = table(head, body)
    note = "(common): not measured at the recipe's better setting, but at the common one."
    return "\n\n".join(("## Over teachers: final, seed 0", text, *[note] * ("(common)" in text)))


def _cifar(rows: list[Row], chosen: dict[str, str]) -> str:
    head = ["recipe", "setting", *COLUMNS, "steps", "seconds"]
    body = []
    for name in ("house", "dfq-akd"):
        setting, found = shown(rows, name, CIFAR_TEACHER, chosen)
        if found:
            row = found[0]
            cells = [f"{row[column]:.2f}" for column in COLUMNS]
            body.append([name, setting, *cells, f"{row['steps']:,}", f"{row['seconds']:.0f}"])
        else:
            body.append([name, NOT_MEASURED, *["-"] * (len(head) - 2)])
    return (
        f"## CIFAR-10, ResNet-20 -> ResNet-20 with {CIFAR_PASSES:,} passes, seed 0\n\n"
        "What two cores allow, far from the published lengths.\n\n" + table(head, body)
    )


def _mechanisms(rows: list[Row]) -> str:
    head = ["recipe", "variant", "teacher", "seeds", *COLUMNS, "passes", "steps"]
    head += ["Frechet", "diversity"]
    body = []
    for name, variants in MECHANISMS.items():
        for teacher in ("lenet5-bn", "resnet20", "wrn-16-1"):
            measured = [find(rows, name, teacher, "common", v) for v in ("", *variants)]
            # Lines are compared on the seeds they share.
            seeds = set.intersection(*({r["seed"] for r in found} or {0} for found in measured))
            for variant, every in zip(("", *variants), measured, strict=True):
                found = [row for row in every if row["seed"] in seeds]
                if not found:
                    continue
                cells = [spread([row[column] for row in found]) for column in COLUMNS]
                cells += [f"{mean(r[c] for r in found):,.0f}" for c in ("passes", "steps")]
                for extra in ("frechet", "diversity"):
                    values = [row[extra] for row in found if extra in row]
                    cells.append(spread(values) if values else "-")
                body.append([name, variant or "as it is", teacher, str(len(found)), *cells])
    return (
        "## Each seed method against itself without its own mechanism\n\n"
        "At the common setting. Frechet is the Frechet distance to 5,000 test images in the "
        "teacher's own feature space, diversity the root mean square distance between pairs of "
        "images there. Neither is Inception FID. Every line of a recipe has the same rounds.\n\n"
        + (table(head, body) if body else NOT_MEASURED)
        + _spreads(rows)
    )


def _spreads(rows: list[Row]) -> str:
    """Largest minus smallest final: RDSKD over weights, TA-DFKD over teachers."""
    teachers = ("lenet5-bn", "resnet20", "wrn-16-1")
    cases = {
        "RDSKD over weights of certainty from 0.1 to 10, exponential of the increase": [
            ("rdskd", "lenet5-bn", variant) for variant in ("certainty x0.1", "", "certainty x10")
        ],
        "the same, plain sum": [
            ("rdskd", "lenet5-bn", f"plain sum x{factor}") for factor in ("0.1", "1", "10")
        ],
        "TA-DFKD over three teachers, with selection": [("ta-dfkd", t, "") for t in teachers],
        "the same, without selection": [("ta-dfkd", t, "without selection") for t in teachers],
    }
    lines = []
    for case, runs in cases.items():
        finals = [
            row["final"]
            for name, teacher, variant in runs
            for row in find(rows, name, teacher, "common", variant)
            if row["seed"] == 0
        ]
        whole = len(finals) == len(runs)
        lines.append(
            f"- {case}: {max(finals) - min(finals):.2f}" if whole else f"- {case}: {NOT_MEASURED}"
        )
    return "\n\nSpread of final (largest minus smallest), seed 0:\n\n" + "\n".join(lines)


def _ablation(rows: list[Row]) -> str:
    head = ["variant", *(f"{teacher}: held-out / final" for teacher in ABLATED)]
    body = []
    for variant in ("", *ABLATION):
        cells = []
        for teacher in ABLATED:
            found = [r for r in find(rows, "house", teacher, "own", variant) if r["seed"] == 0]
            cells.append(
                f"{found[0]['held_out']:.2f} / {found[0]['final']:.2f}" if found else NOT_MEASURED
            )
        body.append([variant or "as it is", *cells])
    return f"## The house recipe without each of its parts, seed 0\n\n{table(head, body)}"


def _settings(rows: list[Row], chosen: dict[str, str]) -> str:
    head = ["recipe", "seeds", "common: held-out / final", "paper: held-out / final", "shown"]
    body = []
    for recipe in PUBLISHED:
        both = {s: find(rows, recipe.name, "lenet5-bn", s) for s in ("common", "paper")}
        ran = [{row["seed"] for row in found} for found in both.values()]
        seeds = set.intersection(*ran) or set.union(*ran)
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
        "## Paper's defaults and the common setting, teacher lenet5-bn\n\n"
        "The better on the 5,000 held-out training images, over the seeds that ran at both, is the "
        "one shown above; a paper's setting that is behind at seed 0 is not run again.\n\n"
        + table(head, body)
    )
