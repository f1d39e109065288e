"""Run one job of the MNIST table and write its row. `benchmarks.mnist` starts it for each job.

python -m benchmarks.mnist.run KEY --data DATA --teachers TEACHERS --state STATE
"""

import json
import resource
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from base.durable_files import replace_durably, write_durably
from base.suggest import did_you_mean
from benchmarks.data import HELD_OUT_IMAGES, accuracy_percent, load_data_set
from benchmarks.machine import describe_machine
from benchmarks.mnist.frechet import diversity, frechet_distance
from benchmarks.mnist.jobs import Job, all_jobs
from benchmarks.mnist.teachers import CLASSES, TEACHERS
from dfkd.models import build
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer
from dfkd.training.budget import Plan
from dfkd.training.loop import DivergedError, Loop, Round, build_generator

EVALUATIONS = 40
"""Number of evaluations on real images in a run, at equal intervals in student steps."""

CHECKPOINT_INTERVAL_S = 30.0

LabelledImages = tuple[Tensor, Tensor]
"""Normalised images (N, C, H, W) and labels (N,)."""


def build_loop(job: Job, teacher: nn.Module) -> tuple[Loop, Plan]:
    """Return the training loop of a job, before its first round, and its length."""
    recipe, plan = job.build_recipe(), job.plan()
    torch.manual_seed(job.seed)
    card = TEACHERS[job.teacher]
    student = build(card.student, card.spec, CLASSES)
    loop = Loop(
        recipe,
        teacher=teacher,
        generator=build_generator(recipe, card.spec, CLASSES),
        student=student,
        spec=card.spec,
        classes=CLASSES,
        plan=plan,
        seed=job.seed,
        device=torch.device("cpu"),
    )
    return loop, plan


class MeasuredRun:
    """A run of the loop that evaluates the student, measures the time and saves checkpoints.

    Args:
        loop: The loop before its first round. If a checkpoint of the same job exists, its state is
            loaded.
        plan: The length of the run.
        images: Labelled images to evaluate on.
        digest: Digest of the job.
        checkpoint: File of the checkpoint; None for no checkpoints.

    Attributes:
        accuracies: Accuracy of the student at each evaluation, in percent.
        gradient_shares: For each measured round, the share of each loss term in the generator's
            gradient.
        seconds: Training time, without evaluations and checkpoints.
    """

    def __init__(
        self,
        loop: Loop,
        plan: Plan,
        images: LabelledImages,
        digest: str,
        checkpoint: Path | None,
    ) -> None:
        self.loop, self.images, self.digest, self.checkpoint = loop, images, digest, checkpoint
        self.steps = plan.rounds * loop.recipe.schedule.student_steps
        self.accuracies: list[float] = []
        self.gradient_shares: list[dict[str, float]] = []
        self.seconds = 0.0
        if checkpoint is not None and checkpoint.exists():
            saved = torch.load(checkpoint, weights_only=True)
            if saved["digest"] == digest:
                loop.load_state_dict(saved["loop"])
                self.accuracies, self.seconds = saved["accuracies"], saved["seconds"]
                self.gradient_shares = saved["shares"]
        self._resumed = self._saved = time.monotonic()

    def run(self) -> None:
        """Run the remaining rounds.

        If the run diverges, the remaining evaluations are of the last healthy student.
        """
        try:
            self.loop.run(self._after_round, self._after_step)
        except DivergedError:
            while len(self.accuracies) < EVALUATIONS:
                self._evaluate()

    def _after_round(self, report: Round) -> None:
        if report.shares:
            self.gradient_shares.append(report.shares)
        due = time.monotonic() - self._saved > CHECKPOINT_INTERVAL_S
        if due and self.checkpoint is not None:
            self.seconds += time.monotonic() - self._resumed
            self.save(self.checkpoint)
            self._resumed = time.monotonic()

    def _after_step(self) -> None:
        if EVALUATIONS * self.loop.counts.student_steps >= self.steps * (len(self.accuracies) + 1):
            self._evaluate()

    def _evaluate(self) -> None:
        """Evaluate the student in eval mode; the next training step sets train mode again."""
        self.seconds += time.monotonic() - self._resumed
        student = self.loop.delivered
        assert student is not None
        self.accuracies.append(accuracy_percent(student.eval(), *self.images))
        self._resumed = time.monotonic()

    def save(self, checkpoint: Path) -> None:
        """Write a checkpoint."""
        part = checkpoint.with_suffix(".part")
        state = {
            "loop": self.loop.state_dict(),
            "accuracies": self.accuracies,
            "seconds": self.seconds,
            "shares": self.gradient_shares,
            "digest": self.digest,
        }
        torch.save(state, part)
        replace_durably(part, checkpoint)
        self._saved = time.monotonic()


def build_row(
    job: Job,
    measured: MeasuredRun,
    teacher: nn.Module,
    held_out: LabelledImages,
    memory_mb: int,
) -> dict[str, Any]:
    """Return the row of a finished run.

    Args:
        job: The job.
        measured: The finished run, evaluated on the test images.
        teacher: The teacher of the job.
        held_out: Training images on which settings are chosen.
        memory_mb: Peak memory of the run.
    """
    loop, scores = measured.loop, torch.tensor(measured.accuracies)
    student = loop.delivered
    assert student is not None
    student.eval()
    return {
        "key": job.key,
        "digest": job.digest(),
        "recipe": job.recipe,
        "setting": job.setting,
        "variant": job.variant,
        "teacher": job.teacher,
        "teacher_accuracy": round(accuracy_percent(teacher, *measured.images), 2),
        "student": TEACHERS[job.teacher].student,
        "seed": job.seed,
        "final": round(accuracy_percent(student, *measured.images), 2),
        "mu": round(scores.mean().item(), 2),
        "deviation": round(scores.std(unbiased=False).item(), 2),
        "peak": round(scores.max().item(), 2),
        "last10": round(scores[-10:].mean().item(), 2),
        "curve": [round(score, 2) for score in measured.accuracies],
        "held_out": round(accuracy_percent(student, *held_out), 2),
        "passes": loop.counts.teacher_passes,
        "images": loop.counts.images,
        "steps": loop.counts.student_steps,
        "seconds": round(measured.seconds, 1),
        "memory_mb": memory_mb,
        "gradient_shares": _means(measured.gradient_shares),
        "health": loop.health.events,
        **_image_statistics(loop, teacher, measured.images[0]),
        "threads": torch.get_num_threads(),
        "machine": describe_machine(),
        "command": f"python -m benchmarks.mnist.run {job.key} --data DATA --teachers TEACHERS",
    }


def _means(shares: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for share in shares for name in share})
    return {name: round(sum(s.get(name, 0.0) for s in shares) / len(shares), 4) for name in names}


@torch.no_grad()
def _image_statistics(loop: Loop, teacher: nn.Module, real: Tensor) -> dict[str, float]:
    """Return how the images of a generator differ from real ones, and from one another."""
    if not isinstance(loop.synthesizer, KeptGeneratorSynthesizer):
        return {}
    rng = torch.Generator().manual_seed(0)
    synthetic = torch.cat([loop.synthesizer.draw(250, rng).images for _ in range(20)])
    return {
        "frechet": round(frechet_distance(teacher, synthetic, real[:5_000]), 2),
        "diversity": round(diversity(teacher, synthetic), 3),
    }


def main(
    key: Annotated[str, typer.Argument(help="Key of the job, as in mnist.json.")],
    data: Annotated[Path, typer.Option(help="Folder with the real data sets.")],
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")],
    state: Annotated[Path, typer.Option(help="Folder for checkpoint and row.")] = Path("state"),
) -> None:
    """Run one job, or resume it, and write its row to STATE/KEY.json."""
    known = {job.key: job for job in all_jobs()}
    if key not in known:
        raise typer.BadParameter(f"unknown job {key!r}{did_you_mean(key, known)}", param_hint="KEY")
    job = known[key]
    card = TEACHERS[job.teacher]
    test = load_data_set(card.data, data, train=False, spec=card.spec)
    teacher = card.load(teachers)
    loop, plan = build_loop(job, teacher)
    state.mkdir(parents=True, exist_ok=True)
    checkpoint = state / f"{key}.checkpoint"
    measured = MeasuredRun(loop, plan, test, job.digest(), checkpoint)
    measured.run()
    # Measured before the training set is loaded, which takes more memory than the run.
    memory_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    held_out = load_data_set(card.data, data, train=True, spec=card.spec, last=HELD_OUT_IMAGES)
    row = build_row(job, measured, teacher, held_out, memory_mb)
    write_durably(state / f"{key}.json", json.dumps(row))
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    typer.run(main)
