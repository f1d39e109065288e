"""The quantization table: what eight and four bits cost, by each choice. Queued, resumable.

python -m benchmarks.quantization --data DATA --teachers TEACHERS
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.data import load
from benchmarks.machine import describe
from benchmarks.quantization_jobs import CHOICES, Job, jobs
from benchmarks.quantization_run import in_torch, run_steps
from benchmarks.quantization_table import render
from pipeline.config import RunConfig
from pipeline.networks import image_spec
from pipeline.store import Store, digest
from pipeline.teachers import load_teacher, parse_weights
from pipeline.weights_file import read_weights
from targets.durable_files import replace_durably
from targets.nearest import instead_of
from targets.onnxruntime_cpu import answer, open_session

RESULTS = Path(__file__).parent / "results"

Right = NDArray[np.bool_]


def main(
    data: Annotated[Path, typer.Option(help="Folder with the real sets.")] = Path("data"),
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")] = Path(
        "teachers"
    ),
    state: Annotated[Path, typer.Option(help="Where unfinished runs wait.")] = Path("state"),
    minutes: Annotated[float, typer.Option(help="Start no run after so long.")] = 1e9,
    choice: Annotated[
        list[str], typer.Option(help="Only rows of this choice; may be given again.")
    ] = [],  # noqa: B006
) -> None:
    """Run what is left of the table; interrupted, the same command goes on."""
    for name in choice:
        if name not in CHOICES:
            raise typer.BadParameter(f"no rows of a choice {name!r}{instead_of(name, CHOICES)}")
    console, started = Console(), time.monotonic()
    rows, right = read_table()
    for job in jobs():
        if choice and job.choice not in choice:
            continue
        config = job.config(teachers)
        key = digest(config.model_dump(mode="json", exclude={"teacher": {"weights"}}))
        if rows.get(job.key, {}).get("digest") == key:
            continue
        if time.monotonic() - started > 60 * minutes:
            break
        row, marks = measure(job, config, data, state)
        rows[job.key] = {**row, "digest": key}
        right.update(marks)
        keep(rows, right)
        console.print(f"{job.key}: {row['quantized']:.2f} ({row['fp32']:.2f} in float)")


def measure(
    job: Job, config: RunConfig, data: Path, state: Path
) -> tuple[dict[str, Any], dict[str, Right]]:
    """One row, and for each test image whether it was answered rightly, by key."""
    spec = image_spec(config.input)
    images, labels = load("cifar10", data, train=False, spec=spec)
    made = run_steps(config, Store(str(state)), state / "quantization" / job.key, job.probed)
    url = config.teacher.weights
    teacher = load_teacher(
        config.teacher, spec, parse_weights(read_weights(url), url), torch.device("cpu")
    )
    answers = {job.teacher: in_torch(teacher, images.numpy())}
    if config.quantize.exported:
        answers[job.key] = answer(open_session(made.compiled()), images.numpy())
    else:
        answers[job.key] = in_torch(made.quantized(config), images.numpy())
    marks = {key: logits.argmax(1) == labels.numpy() for key, logits in answers.items()}
    row = {
        "teacher": job.teacher,
        "choice": job.choice,
        "weight_bits": job.weight_bits,
        "activation_bits": job.activation_bits,
        "seed": job.seed,
        "fp32": round(100 * float(marks[job.teacher].mean()), 2),
        "quantized": round(100 * float(marks[job.key].mean()), 2),
        "seconds": round(made.seconds, 1),
        "threads": torch.get_num_threads(),
        "runtime": "ONNX Runtime" if config.quantize.exported else "torch",
        **(made.parity(config) if job.probed else {}),
        "machine": describe(),
        "command": "python -m benchmarks.quantization --data DATA --teachers TEACHERS",
    }
    return row, marks


def read_table() -> tuple[dict[str, dict[str, Any]], dict[str, Right]]:
    """Rows and marks so far, by key."""
    path = RESULTS / "quantization.json"
    if not path.exists():
        return {}, {}
    rows = {_key(row): row for row in json.loads(path.read_text())}
    with np.load(RESULTS / "quantization.npz", allow_pickle=False) as packed:
        marks = {name: np.unpackbits(packed[name]).astype(bool) for name in packed.files}
    return rows, marks


def keep(rows: dict[str, dict[str, Any]], marks: dict[str, Right]) -> None:
    """Write rows, marks and the table."""
    RESULTS.mkdir(exist_ok=True)
    ordered = [rows[key] for key in sorted(rows)]
    beside = RESULTS / "quantization.part.npz"
    packed: dict[str, Any] = {name: np.packbits(right) for name, right in marks.items()}
    np.savez_compressed(beside, **packed)
    replace_durably(beside, RESULTS / "quantization.npz")
    texts = {
        "quantization.json": json.dumps(ordered, indent=1) + "\n",
        "quantization.md": render(ordered, marks),
    }
    for name, text in texts.items():
        part = RESULTS / f"{name}.part"
        part.write_text(text)
        replace_durably(part, RESULTS / name)


def _key(row: dict[str, Any]) -> str:
    bits = row["weight_bits"], row["activation_bits"]
    return Job(row["teacher"], row["choice"], *bits, row["seed"]).key


if __name__ == "__main__":
    typer.run(main)
