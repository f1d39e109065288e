"""Run the whole pipeline for a teacher and score the student on the real test set.

    python -m benchmarks.chain examples/mnist_lenet5/run.yaml --data mnist --folder DATA \
        --store STORE
    python -m benchmarks.chain benchmarks/runs/cifar10_resnet20.yaml --data cifar10 \
        --folder DATA --store STORE --teachers TEACHERS

Writes a row of results/chain.json, which replaces an earlier row of the same name and seed, and
results/chain.md.
"""

import json
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import result_pages
from benchmarks.data import accuracy_percent, load_data_set
from benchmarks.job_queue import Row
from benchmarks.score import score_bundle
from pipeline.config.run_file import read_run_file
from pipeline.config.schema import RunConfig
from pipeline.run import execute
from pipeline.store.store import Store
from pipeline.teachers.loading import load_teacher, parse_weights
from pipeline.teachers.networks import image_spec
from pipeline.teachers.weights_file import read_weights
from pipeline.training.progress import reporter

COLUMNS = (
    "name",
    "data",
    "seed",
    "teacher_accuracy",
    "fp32_accuracy",
    "accuracy",
    "agreement_on_probes",
    "verdict",
    "seconds",
)


def main(
    run_file: Annotated[Path, typer.Argument(help="A run file.")],
    data: Annotated[str, typer.Option(help="mnist, fashion-mnist or cifar10.")],
    folder: Annotated[Path, typer.Option(help="Folder with the data sets.")],
    store: Annotated[Path, typer.Option(help="An empty folder, so that no step is reused.")],
    teachers: Annotated[
        Path | None, typer.Option(help="Folder that the weights in run_file are relative to.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
) -> None:
    """Measure one row of the table."""
    config = read_config(run_file, teachers, seed)
    bundle = store / "bundles" / f"{config.name}-{seed}"
    started = time.monotonic()
    with reporter() as progress:
        execute(config, Store(str(store)), bundle, progress)
    seconds = time.monotonic() - started
    row = {
        **score_bundle(bundle, data, folder),
        "teacher_accuracy": teacher_accuracy(config, data, folder),
        "seconds": round(seconds),
        "command": _command(run_file, data, teachers is not None, seed),
    }
    write_row(row)
    print(json.dumps(row))


def teacher_accuracy(config: RunConfig, data: str, folder: Path) -> float:
    """Return the accuracy of the teacher on the real test set, in percent."""
    spec = image_spec(config.input)
    url = config.teacher.weights
    state = parse_weights(read_weights(url), url)
    teacher = load_teacher(config.teacher, spec, state, torch.device("cpu"))
    images, labels = load_data_set(data, folder, train=False, spec=spec)
    return round(accuracy_percent(teacher, images, labels), 2)


def write_row(row: Row) -> None:
    """Add a row to chain.json and rewrite chain.md."""
    path = result_pages.RESULTS / "chain.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    rows = [r for r in rows if (r["name"], r["seed"]) != (row["name"], row["seed"])] + [row]
    rows.sort(key=lambda r: (r["name"], r["seed"]))
    path.write_text(json.dumps(rows, indent=2) + "\n")
    path.with_suffix(".md").write_text(render(rows))


def render(rows: list[Row]) -> str:
    """Return the page as Markdown."""
    parts = [
        "# The whole pipeline, scored on real test images",
        "Accuracies are in percent. `accuracy` is that of the int8 student, `fp32_accuracy` that "
        "of the same student in float. `agreement_on_probes` is the share of synthetic probe "
        "images on which the int8 student and the teacher predict the same class; the verdict is "
        "decided by it. `seconds` is the time of the whole run.",
        result_pages.markdown_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows]),
        "\n".join(sorted({f"- `{row['command']}`" for row in rows})),
        f"Machine: {'; '.join(sorted({row['machine'] for row in rows}))}",
    ]
    return "\n\n".join(parts) + "\n"


def read_config(run_file: Path, teachers: Path | None, seed: int) -> RunConfig:
    """Return a run file's configuration with this seed and, if given, weights below `teachers`."""
    config = read_run_file(run_file)
    if teachers is not None:
        weights = Path(config.teacher.weights).relative_to(run_file.parent)
        teacher = config.teacher.model_copy(update={"weights": str(teachers / weights)})
        config = config.model_copy(update={"teacher": teacher})
    return config.model_copy(update={"seed": seed})


def _command(run_file: Path, data: str, external: bool, seed: int) -> str:
    teachers = " --teachers TEACHERS" if external else ""
    return (
        f"python -m benchmarks.chain {run_file} --data {data} --folder DATA --store STORE"
        f"{teachers} --seed {seed}"
    )


if __name__ == "__main__":
    typer.run(main)
