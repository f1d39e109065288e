"""Run one job of the quantization table: all pipeline steps up to the graph for this CPU.

python -m benchmarks.quantization.run KEY --data DATA --teachers TEACHERS --state STATE
"""

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
from benchmarks.data import load_data_set
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.quantization.correct_images import Correct, write_correct
from benchmarks.quantization.jobs import Job, jobs
from pipeline.chain import Artifacts, add_artifacts, chain, run_step
from pipeline.config.schema import RunConfig
from pipeline.quantization.fake_quantizers import restore, to_torch_quantizers
from pipeline.store.step_record import StepRecord
from pipeline.store.store import Store
from pipeline.teachers.loading import load_teacher, parse_weights
from pipeline.teachers.networks import build_section, image_spec
from pipeline.teachers.weights_file import read_weights
from pipeline.tracing.fixed_form import FixedForm
from pipeline.training.progress import LineReporter
from targets.bundle.golden import load_golden
from targets.catalogue.instruction_sets import this_cpu
from targets.cpu.session import compile_graph, open_session, predict, rewrite_graph_file

TIMED = ("fresh_generator", "quantize")
"""Steps whose duration is shown. If choices share a generator, each includes its whole duration."""


@dataclass(frozen=True)
class Quantized:
    """The files that a run has written.

    Attributes:
        files: The files, by role.
        folder: Folder for files that are derived from them.
        seconds: Duration of the steps in `TIMED`, including the earlier time of reused or resumed
            steps.
    """

    files: dict[str, Path]
    folder: Path
    seconds: float

    def compiled(self) -> Path:
        """Compile the int8 graph for this CPU and return its path."""
        rewritten = self.folder / "rewritten.onnx"
        rewrite_graph_file(self.files["int8-cpu"], rewritten, this_cpu())
        return compile_graph(rewritten, self.folder / "compiled.onnx").path

    def quantized(self, config: RunConfig) -> FixedForm:
        """Return the fake-quantized network in torch."""
        section = config.teacher
        network = build_section(section, image_spec(config.input), section.classes)
        network.load_state_dict(load_file(self.files["student"]))
        places = json.loads(self.files["quantizers"].read_text())
        spec = image_spec(config.input)
        example = spec.normalise(torch.zeros(2, *spec.shape))
        return restore(network.eval(), example, places, load_file(self.files["quantized"]))

    def parity(self, config: RunConfig) -> dict[str, float]:
        """Return the percentage of probes with the same class as with torch's fake-quantizers.

        "parity_off" is for ONNX Runtime without its optimizations, "parity_on" for ONNX Runtime
        with them. "parity_trained" is for NNCF's fake-quantizers, with which the network was
        trained. NNCF subtracts the lower end of the range before it rounds, which moves values
        across rounding boundaries.
        """
        probes = load_golden(self.files["golden"]).images
        trained = self.quantized(config)
        reference = run_in_torch(to_torch_quantizers(trained), probes).argmax(1)
        graphs = {"off": (self.files["int8-cpu"], False), "on": (self.compiled(), True)}
        compared = {name: predict(open_session(*graph), probes) for name, graph in graphs.items()}
        compared["trained"] = run_in_torch(trained, probes)
        return {
            f"parity_{name}": round(100 * float(np.mean(logits.argmax(1) == reference)), 2)
            for name, logits in compared.items()
        }


def run_steps(config: RunConfig, store: Store, folder: Path, probed: bool) -> Quantized:
    """Run the steps up to the export, and the probe images if `probed`.

    Args:
        config: The run file.
        store: The store, from which finished steps are reused.
        folder: Folder for the files.
        probed: Whether to make probe images.
    """
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
            # The notes of a step also count the time before an interruption or in an earlier run.
            seconds += max(_noted_seconds(record), time.monotonic() - started)
    folder.mkdir(parents=True, exist_ok=True)
    files = {role.record_name: store.get(a, folder) for role, a in artifacts.items()}
    return Quantized(files, folder, seconds)


def _noted_seconds(record: StepRecord) -> float:
    parts: list[dict[str, Any]] = [
        record.notes,
        *(record.notes.get(part, {}) for part in ("images", "fine-tuning")),
    ]
    return float(sum(part.get("seconds", 0.0) for part in parts))


@torch.no_grad()
def run_in_torch(network: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits (N, K) of images (N, C, H, W)."""
    parts = [network(part) for part in torch.from_numpy(images).split(500)]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits


def measure(job: Job, data: Path, teachers: Path, state: Path) -> tuple[Row, dict[str, Correct]]:
    """Run a job.

    Args:
        job: The job.
        data: Folder with CIFAR-10.
        teachers: Folder of teachers trained by others.
        state: Folder of the store and of the files that the job writes.

    Returns:
        The row, and the correctly classified images of student and teacher, by key and by teacher.
    """
    config = job.config(teachers)
    spec = image_spec(config.input)
    images, labels = load_data_set("cifar10", data, train=False, spec=spec)
    made = run_steps(config, Store(str(state)), state / "quantization" / job.key, job.probed)
    url = config.teacher.weights
    teacher = load_teacher(
        config.teacher, spec, parse_weights(read_weights(url), url), torch.device("cpu")
    )
    logits = {job.teacher: run_in_torch(teacher, images.numpy())}
    if config.quantize.exported:
        logits[job.key] = predict(open_session(made.compiled()), images.numpy())
    else:
        logits[job.key] = run_in_torch(made.quantized(config), images.numpy())
    correct = {key: values.argmax(1) == labels.numpy() for key, values in logits.items()}
    row = {
        "teacher": job.teacher,
        "choice": job.choice,
        "weight_bits": job.weight_bits,
        "activation_bits": job.activation_bits,
        "seed": job.seed,
        "fp32": round(100 * float(correct[job.teacher].mean()), 2),
        "quantized": round(100 * float(correct[job.key].mean()), 2),
        "seconds": round(made.seconds, 1),
        "threads": torch.get_num_threads(),
        "runtime": "ONNX Runtime" if config.quantize.exported else "torch",
        **(made.parity(config) if job.probed else {}),
        "machine": describe_machine(),
        "command": "python -m benchmarks.quantization --data DATA --teachers TEACHERS",
        "digest": job.digest(),
    }
    return row, correct


def main(
    key: Annotated[str, typer.Argument(help="Key of the job, as `--list` prints it.")],
    data: Annotated[Path, typer.Option(help="Folder with the real data sets.")],
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")],
    state: Annotated[Path, typer.Option(help="Folder for the store and the row.")] = Path("state"),
) -> None:
    """Run one job, or resume it; write STATE/KEY.json and STATE/KEY.npz."""
    known = {job.key: job for job in jobs()}
    if key not in known:
        raise typer.BadParameter(f"unknown job {key!r}{did_you_mean(key, known)}", param_hint="KEY")
    row, correct = measure(known[key], data, teachers, state)
    write_correct(state / f"{key}.npz", correct)
    write_durably(state / f"{key}.json", json.dumps(row))


if __name__ == "__main__":
    typer.run(main)
