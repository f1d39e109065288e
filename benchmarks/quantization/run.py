"""One run of the quantization table: the pipeline's own steps as far as the graph for a CPU."""

import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from base.durable_files import write_durably
from base.suggest import did_you_mean
from benchmarks.data import load
from benchmarks.job_queue import Row
from benchmarks.machine import describe
from benchmarks.quantization.jobs import Job, jobs
from benchmarks.quantization.marks import Right, write_marks
from pipeline.chain import Artifacts, add_artifacts, chain, run_step
from pipeline.config.schema import RunConfig
from pipeline.quantization.fake_quantizers import restore, to_torch_quantizers
from pipeline.store.step_record import StepRecord
from pipeline.store.store import Store
from pipeline.teachers.loading import load_teacher, parse_weights
from pipeline.teachers.networks import build_network, image_spec
from pipeline.teachers.weights_file import read_weights
from pipeline.training.progress import LineReporter
from targets.bundle.golden import load_golden
from targets.catalogue.instruction_sets import this_cpu
from targets.cpu.session import compile_graph, open_session, predict, rewrite_graph_file

TIMED = ("fresh_generator", "quantize")
"""Steps whose time is a choice's: choices that share a generator are each charged all of it."""


@dataclass(frozen=True)
class Quantized:
    """What a run has made.

    Attributes:
        files: By role.
        folder: For what is made of them.
        seconds: What the steps `TIMED` took, also when they were reused or resumed.
    """

    files: dict[str, Path]
    folder: Path
    seconds: float

    def compiled(self) -> Path:
        """The int8 graph as it is compiled for this CPU."""
        handed = self.folder / "handed.onnx"
        rewrite_graph_file(self.files["int8-cpu"], handed, this_cpu())
        return compile_graph(handed, self.folder / "compiled.onnx").path

    def quantized(self, config: RunConfig) -> nn.Module:
        """The fake-quantized network in torch."""
        section = config.teacher
        network = build_network(
            section.architecture, section.width, image_spec(config.input), section.classes
        )
        network.load_state_dict(load_file(self.files["student"]))
        places = json.loads(self.files["quantizers"].read_text())
        return restore(network.eval(), places, load_file(self.files["quantized"]))

    def parity(self, config: RunConfig) -> dict[str, float]:
        """Percent of the probes on which others answer as torch's own fake-quantizers do.

        ONNX Runtime without and with its optimizations, and NNCF's fake-quantizers, with which
        the network was trained: they subtract the lower end of the range before they round, which
        moves more numbers across a rounding boundary than all else.
        """
        probes = load_golden(self.files["golden"]).images
        trained = self.quantized(config)
        two = torch.from_numpy(probes[:2])
        meant = in_torch(to_torch_quantizers(copy.deepcopy(trained), two), probes).argmax(1)
        graphs = {"off": (self.files["int8-cpu"], False), "on": (self.compiled(), True)}
        given = {name: predict(open_session(*graph), probes) for name, graph in graphs.items()}
        given["trained"] = in_torch(trained, probes)
        return {
            f"parity_{name}": round(100 * float(np.mean(logits.argmax(1) == meant)), 2)
            for name, logits in given.items()
        }


def run_steps(config: RunConfig, store: Store, folder: Path, probed: bool) -> Quantized:
    """Teacher, quantize, export, and the probes if they are wanted."""
    wanted = {"teacher", *TIMED, "export", *(("probe",) if probed else ())}
    artifacts: Artifacts = {}
    seconds = 0.0
    for step in chain(config):
        if step.name not in wanted:
            continue
        started = time.monotonic()
        record = run_step(step, config, artifacts, store, LineReporter(print))
        artifacts = add_artifacts(artifacts, step, record, config)
        if step.name in TIMED:
            # The notes count what was done before an interruption, or by a row before, too.
            seconds += max(_noted(record), time.monotonic() - started)
    folder.mkdir(parents=True, exist_ok=True)
    files = {role.record_name: store.get(a, folder) for role, a in artifacts.items()}
    return Quantized(files, folder, seconds)


def _noted(record: StepRecord) -> float:
    parts: list[dict[str, Any]] = [
        record.notes,
        *(record.notes.get(part, {}) for part in ("images", "fine-tuning")),
    ]
    return float(sum(part.get("seconds", 0.0) for part in parts))


@torch.no_grad()
def in_torch(network: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, K)."""
    parts = [network(part) for part in torch.from_numpy(images).split(500)]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits


def measure(job: Job, data: Path, teachers: Path, state: Path) -> tuple[Row, dict[str, Right]]:
    """A job's row, and for each test image whether it was answered rightly, by key."""
    config = job.config(teachers)
    spec = image_spec(config.input)
    images, labels = load("cifar10", data, train=False, spec=spec)
    made = run_steps(config, Store(str(state)), state / "quantization" / job.key, job.probed)
    url = config.teacher.weights
    teacher = load_teacher(
        config.teacher, spec, parse_weights(read_weights(url), url), torch.device("cpu")
    )
    answers = {job.teacher: in_torch(teacher, images.numpy())}
    if config.quantize.exported:
        answers[job.key] = predict(open_session(made.compiled()), images.numpy())
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
        "digest": job.digest(),
    }
    return row, marks


def main(
    key: Annotated[str, typer.Argument(help="Of the job, as the table has it.")],
    data: Annotated[Path, typer.Option(help="Folder with the real sets.")],
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")],
    state: Annotated[Path, typer.Option(help="Folder for checkpoint and row.")] = Path("state"),
) -> None:
    """Run one job, or go on with it; leaves STATE/KEY.json, and its marks in STATE/KEY.npz."""
    named = {job.key: job for job in jobs()}
    if key not in named:
        raise typer.BadParameter(f"no row {key!r}{did_you_mean(key, named)}", param_hint="KEY")
    row, marks = measure(named[key], data, teachers, state)
    write_marks(state / f"{key}.npz", marks)
    write_durably(state / f"{key}.json", json.dumps(row))


if __name__ == "__main__":
    typer.run(main)
