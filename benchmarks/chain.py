"""Run the whole chain for a teacher and score its artifact on the real test set.

    python -m benchmarks.chain examples/mnist_lenet5/run.yaml --data mnist --folder DATA
    python -m benchmarks.chain benchmarks/runs/cifar10_resnet20.yaml --data cifar10 \
        --folder DATA --teachers TEACHERS

The row goes into benchmarks/results/chain.json, in place of an earlier one of the same name and
seed, and chain.md is written anew.
"""

import json
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.data import accuracy, load
from benchmarks.score import score
from pipeline.config.run_file import read_run_file
from pipeline.config.schema import RunConfig
from pipeline.run import execute
from pipeline.store.store import Store
from pipeline.teachers.loading import load_teacher, parse_weights
from pipeline.teachers.networks import image_spec
from pipeline.teachers.weights_file import read_weights
from pipeline.training.progress import reporter

RESULTS = Path(__file__).parent / "results"
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
    folder: Annotated[Path, typer.Option(help="Where the data lies.")],
    store: Annotated[Path, typer.Option(help="A fresh folder, so that the time is true.")],
    teachers: Annotated[Path | None, typer.Option(help="Where run_file's weights lie.")] = None,
    seed: Annotated[int, typer.Option(help="The run's seed.")] = 0,
) -> None:
    """One row of the table."""
    config = _config(run_file, teachers, seed)
    bundle = store / "bundles" / f"{config.name}-{seed}"
    started = time.monotonic()
    with reporter() as progress:
        execute(config, Store(str(store)), bundle, progress)
    seconds = time.monotonic() - started
    row = {
        **score(bundle, data, folder),
        "teacher_accuracy": teacher_accuracy(config, data, folder),
        "seconds": round(seconds),
        "command": _command(run_file, data, teachers is not None, seed),
    }
    write_row(row)
    print(json.dumps(row))


def teacher_accuracy(config: RunConfig, data: str, folder: Path) -> float:
    """What the teacher itself scores on the real test set, in percent."""
    spec = image_spec(config.input)
    url = config.teacher.weights
    state = parse_weights(read_weights(url), url)
    teacher = load_teacher(config.teacher, spec, state, torch.device("cpu"))
    return round(accuracy(teacher, *load(data, folder, train=False, spec=spec)), 2)


def write_row(row: dict[str, object]) -> None:
    """Put a row into chain.json, and write chain.md from it."""
    table = RESULTS / "chain.json"
    rows = json.loads(table.read_text()) if table.exists() else []
    rows = [r for r in rows if (r["name"], r["seed"]) != (row["name"], row["seed"])] + [row]
    rows.sort(key=lambda r: (r["name"], r["seed"]))
    table.write_text(json.dumps(rows, indent=2) + "\n")
    lines = [
        "# The chain on real test images",
        "",
        "Accuracies in percent; int8 is `accuracy`.",
        "",
    ]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(str(r[c]) for c in COLUMNS)} |" for r in rows]
    lines += ["", *sorted({f"- `{r['command']}`" for r in rows})]
    lines += ["", f"Machine: {row['machine']}", ""]
    (RESULTS / "chain.md").write_text("\n".join(lines))


def _config(run_file: Path, teachers: Path | None, seed: int) -> RunConfig:
    config = read_run_file(run_file)
    if teachers is not None:
        weights = Path(config.teacher.weights).relative_to(run_file.parent)
        teacher = config.teacher.model_copy(update={"weights": str(teachers / weights)})
        config = config.model_copy(update={"teacher": teacher})
    return config.model_copy(update={"seed": seed})


def _command(run_file: Path, data: str, external: bool, seed: int) -> str:
    where = " --teachers TEACHERS" if external else ""
    return (
        f"python -m benchmarks.chain {run_file} --data {data} --folder DATA --store STORE"
        f"{where} --seed {seed}"
    )


if __name__ == "__main__":
    typer.run(main)
