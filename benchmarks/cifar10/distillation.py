"""One distillation on CIFAR-10, which is evaluated during the run and saved between time slices."""

import copy
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cifar10.images import CLASSES, SPEC, LabelledPixels, evaluate_accuracy
from benchmarks.cifar10.slices import ProgressLines, TimeSlice, write_atomically
from benchmarks.cifar10.teacher import build_network, to_device
from dfkd.recipes import RECIPES
from dfkd.training.budget import for_teacher_passes
from dfkd.training.loop import DivergedError, Loop, Round, build_generator

PAIRS = {
    "resnet34-resnet18": ("resnet34", "resnet18"),
    "wrn-40-2-wrn-16-1": ("wrn-40-2", "wrn-16-1"),
    "wrn-40-2-wrn-16-2": ("wrn-40-2", "wrn-16-2"),
}
"""By name of the pair, the architectures (teacher, student)."""

EVALUATIONS = 40
"""Number of evaluations of the student in a run."""


class Distillation:
    """One run of the training loop, evaluated and saved between time slices.

    Args:
        identity: Values that identify the run: "pair", "recipe", "budget" (teacher passes), "seed"
            and "teacher_sha256" (SHA-256 of the teacher's file).
        teacher: The teacher, frozen and in eval mode.
        test: Test set, for evaluation only.
        state: The folder of the run.

    Raises:
        ValueError: If the folder has a checkpoint of another run.
    """

    def __init__(
        self, identity: dict[str, Any], teacher: nn.Module, test: LabelledPixels, state: Path
    ) -> None:
        torch.manual_seed(identity["seed"])
        self.identity, self.test, self.checkpoint = identity, test, state / "loop.pt"
        device, recipe = test[0].device, RECIPES[identity["recipe"]]
        self.precision = torch.bfloat16 if device.type == "cuda" else torch.float32
        student = build_network(PAIRS[identity["pair"]][1], device)
        generator = build_generator(recipe, SPEC, CLASSES)
        self.loop = Loop(
            recipe,
            teacher=teacher,
            generator=None if generator is None else to_device(generator, device),
            student=student,
            spec=SPEC,
            classes=CLASSES,
            plan=for_teacher_passes(recipe, identity["budget"]),
            seed=identity["seed"],
            device=device,
            precision=self.precision,
        )
        self.curve: list[dict[str, float]] = []
        self.seconds = 0.0
        if self.checkpoint.exists():
            self._load()

    def _load(self) -> None:
        # Without map_location, each tensor keeps its device; random states must stay on the CPU.
        saved = torch.load(self.checkpoint, weights_only=True)
        require_same_run(self.identity, saved["asked"], self.checkpoint)
        print(f"resumed from {self.checkpoint}", flush=True)
        self.loop.load_state_dict(saved["loop"])
        self.curve, self.seconds = saved["curve"], saved["seconds"]

    def save(self) -> None:
        """Write the checkpoint."""
        state = self.loop.state_dict()
        content = {
            "asked": self.identity,
            # A tensor that is unchanged since the loop's snapshot is stored only once.
            "loop": {**state, "healthy": share_tensors(state["healthy"], state)},
            "curve": self.curve,
            "seconds": self.seconds,
        }
        write_atomically(self.checkpoint, lambda file: torch.save(content, file))

    def run(self, time_slice: TimeSlice, progress: ProgressLines) -> None:
        """Run the remaining rounds.

        Args:
            time_slice: Determines when to stop.
            progress: Called with every round.

        Raises:
            PausedError: If the time slice is over; the state is then saved.
        """
        resumed = time.monotonic()

        def after_round(report: Round) -> None:
            nonlocal resumed
            self.seconds += time.monotonic() - resumed
            main = report.phase == "adversarial"
            if main and is_due(report.number, report.total, EVALUATIONS):
                self.evaluate()
            task = f"{self.identity['recipe']}, {report.phase}: round"
            progress.report(task, report.number, report.total, lambda: self._detail(report))
            if report.event:
                print(report.event, flush=True)
            if not (main and report.number == report.total):
                time_slice.checkpoint(self.save)
            resumed = time.monotonic()

        try:
            self.loop.run(after_round)
        except DivergedError:
            # The student is now the last healthy one, so its accuracy no longer changes.
            while len(self.curve) < EVALUATIONS:
                self.evaluate()
        self.save()

    def _detail(self, report: Round) -> str:
        passes = f"{self.loop.counts.teacher_passes / 1e6:.2f} M passes"
        loss = f"student loss {report.losses.get('student', math.nan):.3f}"
        last = f", test {self.curve[-1]['accuracy']:.2f} %" if self.curve else ""
        return f"{passes}, {loss}{last}"

    def evaluate(self) -> None:
        """Append a point to the curve, without changing weights or random states."""
        assert self.loop.delivered is not None
        accuracy = round(evaluate_accuracy(self.loop.delivered, self.test), 2)
        self.curve.append({"accuracy": accuracy, **vars(self.loop.counts)})

    def row(self, teacher_accuracy: float, command: str) -> dict[str, Any]:
        """Return the row of the finished run.

        Args:
            teacher_accuracy: Accuracy of the teacher in percent.
            command: The command that repeats the run.
        """
        scores = [point["accuracy"] for point in self.curve]
        counts = self.loop.counts
        return {
            **self.identity,
            "teacher_accuracy": round(teacher_accuracy, 2),
            "final": scores[-1],
            "mu": round(statistics.mean(scores), 2),
            "deviation": round(statistics.pstdev(scores), 2),
            "peak": max(scores),
            "last10": round(statistics.mean(scores[-10:]), 2),
            "passes": counts.teacher_passes,
            "stretch": round(self.loop.plan.stretch, 2),
            "images": counts.images,
            "student_steps": counts.student_steps,
            "minutes": round(self.seconds / 60, 1),
            "device": device_name(self.test[0].device),
            "precision": str(self.precision).removeprefix("torch."),
            "torch": torch.__version__,
            "command": command,
            "events": list(self.loop.health.events),
            "curve": self.curve,
        }


def is_due(number: int, total: int, evaluations: int) -> bool:
    """Return whether to evaluate after round `number` of `total`; the last round always is.

    All rounds after the warm-up cost the same number of teacher passes. Evaluations at equal
    intervals in rounds are therefore also at equal intervals in passes.
    """
    return number * evaluations // total > (number - 1) * evaluations // total


def share_tensors(old: Any, new: Any) -> Any:
    """Return `old`, with each tensor replaced by its counterpart in `new` if both are equal.

    Args:
        old: Nested dicts, lists and tuples.
        new: A structure of the same kind.
    """
    if isinstance(old, Tensor):
        same_kind = isinstance(new, Tensor) and (old.dtype, old.device) == (new.dtype, new.device)
        return new if same_kind and torch.equal(old, new) else old
    if isinstance(old, dict) and isinstance(new, dict):
        # A copy keeps the attributes of a state dict.
        shared = copy.copy(old)
        shared.update({key: share_tensors(value, new.get(key)) for key, value in old.items()})
        return shared
    if isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        return type(old)(share_tensors(*pair) for pair in zip(old, new, strict=True))
    return old


def require_same_run(identity: dict[str, Any], found: dict[str, Any], path: Path) -> None:
    """Check that a file of an earlier slice belongs to this run.

    Raises:
        ValueError: If it belongs to another run.
    """
    differing = [key for key in identity if found.get(key) != identity[key]]
    if differing:
        raise ValueError(
            f"{path} belongs to another run with a different {', '.join(differing)}; "
            "use another state folder"
        )


def device_name(device: torch.device) -> str:
    """Return the device on which a result was measured."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
