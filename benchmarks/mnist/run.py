"""One run of the MNIST table, in a process of its own: a job in, a row out.

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

from base.durable_files import replace_durably
from base.suggest import did_you_mean
from benchmarks.data import accuracy, load
from benchmarks.machine import describe
from benchmarks.mnist.frechet import diversity, frechet_distance
from benchmarks.mnist.jobs import TEACHERS, Job, TeacherCard, jobs
from benchmarks.train_teacher import HELD_OUT
from dfkd.models import build
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer
from dfkd.training.budget import Plan
from dfkd.training.loop import DivergedError, Loop, Round, build_generator
from pipeline.config.sections import TeacherSection
from pipeline.teachers.loading import load_teacher, parse_weights

LOOKS = 40
"""Evaluations on real images over a run, evenly over the student's steps."""

SAVE_EVERY = 30.0
"""Seconds between two checkpoints."""

ROOT = Path(__file__).parents[2]

Labelled = tuple[Tensor, Tensor]


def open_teacher(card: TeacherCard, outside: Path) -> nn.Module:
    """A teacher of the table, frozen.

    Args:
        card: Which.
        outside: The folder of teachers trained by others.
    """
    inside, _, rest = card.weights.partition("/")
    path = outside / rest if inside == "TEACHERS" else ROOT / card.weights
    section = TeacherSection(
        weights=str(path), architecture=card.architecture, width=card.width, classes=10
    )
    state = parse_weights(path.read_bytes(), str(path))
    return load_teacher(section, card.spec, state, torch.device("cpu"))


def make_loop(job: Job, teacher: nn.Module) -> tuple[Loop, Plan]:
    """The loop of a job, as it starts."""
    recipe, plan = job.composition(), job.plan()
    torch.manual_seed(job.seed)
    card = TEACHERS[job.teacher]
    student = build(card.student, card.spec, 10)
    loop = Loop(
        recipe,
        teacher=teacher,
        generator=build_generator(recipe, card.spec, 10),
        student=student,
        spec=card.spec,
        classes=10,
        plan=plan,
        seed=job.seed,
        device=torch.device("cpu"),
    )
    return loop, plan


class Course:
    """Watches a run: evaluates, keeps time without the evaluations, saves now and then.

    Args:
        loop: As it starts; taken up from the checkpoint if there is one of the same run.
        plan: Its length.
        real: Labelled images to evaluate on.
        digest: Of the run.
        checkpoint: Where it is kept; None keeps none.
    """

    def __init__(
        self, loop: Loop, plan: Plan, real: Labelled, digest: str, checkpoint: Path | None
    ) -> None:
        self.loop, self.real, self.digest, self.checkpoint = loop, real, digest, checkpoint
        self.steps = plan.rounds * loop.recipe.schedule.student_steps
        self.accuracies: list[float] = []
        self.shares: list[dict[str, float]] = []
        self.seconds = 0.0
        if checkpoint is not None and checkpoint.exists():
            saved = torch.load(checkpoint, weights_only=True)
            if saved["digest"] == digest:
                loop.load_state_dict(saved["loop"])
                self.accuracies, self.seconds = saved["accuracies"], saved["seconds"]
                self.shares = saved["shares"]
        self._since = self._saved = time.monotonic()

    def run(self) -> None:
        """Run what is left. A student that is given up scores what it does for the rest."""
        try:
            self.loop.run(self._watch, self._after_step)
        except DivergedError:
            while len(self.accuracies) < LOOKS:
                self._look()

    def _watch(self, now: Round) -> None:
        if now.shares:
            self.shares.append(now.shares)
        if time.monotonic() - self._saved > SAVE_EVERY and self.checkpoint is not None:
            self.seconds += time.monotonic() - self._since
            self.save(self.checkpoint)
            self._since = time.monotonic()

    def _after_step(self) -> None:
        if LOOKS * self.loop.counts.student_steps >= self.steps * (len(self.accuracies) + 1):
            self._look()

    def _look(self) -> None:
        """Score the student as it is; its next step puts it back into train mode."""
        self.seconds += time.monotonic() - self._since
        student = self.loop.delivered
        assert student is not None
        self.accuracies.append(accuracy(student.eval(), *self.real))
        self._since = time.monotonic()

    def save(self, checkpoint: Path) -> None:
        """Write a checkpoint beside, then under its name."""
        beside = checkpoint.with_suffix(".part")
        state = {"loop": self.loop.state_dict(), "accuracies": self.accuracies}
        rest = {"seconds": self.seconds, "shares": self.shares, "digest": self.digest}
        torch.save({**state, **rest}, beside)
        replace_durably(beside, checkpoint)
        self._saved = time.monotonic()


def row_of(
    job: Job, course: Course, teacher: nn.Module, held_out: Labelled, memory_mb: int
) -> dict[str, Any]:
    """The row of the table, after the run."""
    loop, scores = course.loop, torch.tensor(course.accuracies)
    student = loop.delivered
    assert student is not None
    student.eval()
    last = scores[-10:]
    return {
        "key": job.key,
        "digest": job.digest(),
        "recipe": job.recipe,
        "setting": job.setting,
        "variant": job.variant,
        "teacher": job.teacher,
        "teacher_accuracy": round(accuracy(teacher, *course.real), 2),
        "student": TEACHERS[job.teacher].student,
        "seed": job.seed,
        "final": round(accuracy(student, *course.real), 2),
        "mu": round(scores.mean().item(), 2),
        "deviation": round(scores.std(unbiased=False).item(), 2),
        "peak": round(scores.max().item(), 2),
        "last10": round(last.mean().item(), 2),
        "curve": [round(score, 2) for score in course.accuracies],
        "held_out": round(accuracy(student, *held_out), 2),
        "passes": loop.counts.teacher_passes,
        "images": loop.counts.images,
        "steps": loop.counts.student_steps,
        "seconds": round(course.seconds, 1),
        "memory_mb": memory_mb,
        "gradient_shares": _means(course.shares),
        "health": loop.health.events,
        **_drawn(loop, teacher, course.real[0]),
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "command": f"python -m benchmarks.mnist.run {job.key} --data DATA --teachers TEACHERS",
    }


def _means(shares: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for share in shares for name in share})
    return {name: round(sum(s.get(name, 0.0) for s in shares) / len(shares), 4) for name in names}


@torch.no_grad()
def _drawn(loop: Loop, teacher: nn.Module, real: Tensor) -> dict[str, float]:
    """How far the generator's images lie from real ones, and from each other."""
    if not isinstance(loop.synthesizer, KeptGeneratorSynthesizer):
        return {}
    rng = torch.Generator().manual_seed(0)
    drawn = torch.cat([loop.synthesizer.fresh(250, rng).images for _ in range(20)])
    return {
        "frechet": round(frechet_distance(teacher, drawn, real[:5_000]), 2),
        "diversity": round(diversity(teacher, drawn), 3),
    }


def main(
    key: Annotated[str, typer.Argument(help="Of the job, as the table has it.")],
    data: Annotated[Path, typer.Option(help="Folder with the real sets.")],
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")],
    state: Annotated[Path, typer.Option(help="Folder for checkpoint and row.")] = Path("state"),
) -> None:
    """Run one job, or go on with it, and write its row to STATE/KEY.json."""
    choices = [*jobs({}), *jobs({job.recipe: "paper" for job in jobs({})})]
    job = next((job for job in choices if job.key == key), None)
    if job is None:
        near = did_you_mean(key, (job.key for job in choices))
        raise typer.BadParameter(f"no row {key!r}{near}", param_hint="KEY")
    card = TEACHERS[job.teacher]
    test = load(card.data, data, train=False, spec=card.spec)
    teacher = open_teacher(card, teachers)
    loop, plan = make_loop(job, teacher)
    state.mkdir(parents=True, exist_ok=True)
    checkpoint = state / f"{key}.checkpoint"
    course = Course(loop, plan, test, job.digest(), checkpoint)
    course.run()
    # Before the training set is read, which would need more than the run.
    memory = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    held_out = load(card.data, data, train=True, spec=card.spec, last=HELD_OUT)
    row = row_of(job, course, teacher, held_out, memory)
    beside = state / f"{key}.part"
    beside.write_text(json.dumps(row))
    replace_durably(beside, state / f"{key}.json")
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    typer.run(main)
