"""One run of the MNIST table, in a process of its own: a job in, a row out.

python -m benchmarks.mnist_run KEY --data DATA --teachers TEACHERS --state STATE
"""

import json
import resource
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from benchmarks.data import accuracy, load
from benchmarks.frechet import diversity, frechet_distance
from benchmarks.machine import describe
from benchmarks.mnist_jobs import TEACHERS, Job, TeacherCard, jobs
from benchmarks.train_teacher import HELD_OUT
from dfkd.budget import Plan, for_teacher_passes
from dfkd.loop import DivergedError, Loop, Round, build_generator
from dfkd.models import build
from dfkd.synthesizers.kept import KeptGenerator
from pipeline.config import TeacherSection
from pipeline.store import replace_durably
from pipeline.teachers import load_teacher, parse_weights

LOOKS = 40
"""Evaluations on real test images over a run, evenly over its rounds with a student."""

SAVE_EVERY = 30.0
"""Seconds between two checkpoints."""

ROOT = Path(__file__).parents[1]

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
    recipe = job.composition()
    plan = for_teacher_passes(recipe, job.passes)
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
    """Watches a run: evaluates, keeps time without the evaluations, saves now and then."""

    def __init__(self, loop: Loop, plan: Plan, test: Labelled, checkpoint: Path) -> None:
        self.loop, self.plan, self.test, self.checkpoint = loop, plan, test, checkpoint
        self.accuracies: list[float] = []
        self.shares: list[dict[str, float]] = []
        self.seconds = 0.0
        if checkpoint.exists():
            saved = torch.load(checkpoint, weights_only=True)
            loop.load_state_dict(saved["loop"])
            self.accuracies, self.seconds = saved["accuracies"], saved["seconds"]
            self.shares = saved["shares"]
        self._since = self._saved = time.monotonic()

    def watch(self, now: Round) -> None:
        """Called after every round."""
        self.seconds += time.monotonic() - self._since
        if now.shares:
            self.shares.append(now.shares)
        share = LOOKS * now.number / now.total
        if now.phase == "adversarial" and int(share) > len(self.accuracies):
            self.look()
        if time.monotonic() - self._saved > SAVE_EVERY:
            self.save()
        self._since = time.monotonic()

    def look(self) -> None:
        """Score the student as it is, and leave it as it was."""
        student = self.loop.delivered
        assert student is not None
        student.eval()
        self.accuracies.append(accuracy(student, *self.test))

    def save(self) -> None:
        """Write a checkpoint beside, then under its name."""
        beside = self.checkpoint.with_suffix(".part")
        state = {"loop": self.loop.state_dict(), "accuracies": self.accuracies}
        torch.save({**state, "seconds": self.seconds, "shares": self.shares}, beside)
        replace_durably(beside, self.checkpoint)
        self._saved = time.monotonic()


def row_of(job: Job, course: Course, teacher: nn.Module, held_out: Labelled) -> dict[str, Any]:
    """The row of the table, after the run."""
    loop, scores = course.loop, torch.tensor(course.accuracies)
    student = loop.delivered
    assert student is not None
    student.eval()
    last = scores[-10:]
    return {
        "key": job.key,
        "recipe": job.recipe,
        "setting": job.setting,
        "variant": job.variant,
        "teacher": job.teacher,
        "teacher_accuracy": round(accuracy(teacher, *course.test), 2),
        "student": TEACHERS[job.teacher].student,
        "seed": job.seed,
        "final": round(accuracy(student, *course.test), 2),
        "mu": round(scores.mean().item(), 2),
        "deviation": round(scores.std(unbiased=False).item(), 2),
        "peak": round(scores.max().item(), 2),
        "last10": round(last.mean().item(), 2),
        "evaluations": len(scores),
        "held_out": round(accuracy(student, *held_out), 2),
        "passes": loop.counts.teacher_passes,
        "images": loop.counts.images,
        "steps": loop.counts.student_steps,
        "seconds": round(course.seconds, 1),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "gradient_shares": _means(course.shares),
        "health": loop.health.events,
        **_drawn(loop, teacher, course.test[0]),
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "command": f"python -m benchmarks.mnist_run {job.key} --data DATA --teachers TEACHERS",
    }


def _means(shares: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for share in shares for name in share})
    return {name: round(sum(s.get(name, 0.0) for s in shares) / len(shares), 4) for name in names}


@torch.no_grad()
def _drawn(loop: Loop, teacher: nn.Module, real: Tensor) -> dict[str, float]:
    """How far the generator's images lie from real ones, and from each other."""
    if not isinstance(loop.synthesizer, KeptGenerator):
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
    job = next(job for job in choices if job.key == key)
    card = TEACHERS[job.teacher]
    images, labels = load(card.data, data, train=True, spec=card.spec)
    held_out = images[-HELD_OUT:].clone(), labels[-HELD_OUT:].clone()
    del images
    test = load(card.data, data, train=False, spec=card.spec)
    teacher = open_teacher(card, teachers)
    loop, plan = make_loop(job, teacher)
    state.mkdir(parents=True, exist_ok=True)
    course = Course(loop, plan, test, state / f"{key}.checkpoint")
    try:
        loop.run(course.watch)
    except DivergedError:
        # The student stays as in the last healthy state for what is left of the run.
        course.accuracies += [accuracy(loop.student.eval(), *test)] * (  # type: ignore[union-attr]
            LOOKS - len(course.accuracies)
        )
    row = row_of(job, course, teacher, held_out)
    beside = state / f"{key}.part"
    beside.write_text(json.dumps(row))
    replace_durably(beside, state / f"{key}.json")
    course.checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    typer.run(main)
