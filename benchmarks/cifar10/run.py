"""One run of the loop on CIFAR-10: evaluated on the way, saved between slices, told in a row."""

import copy
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cifar10.slices import Progress, Slice, write_whole
from benchmarks.cifar10.teacher import CLASSES, SPEC, Labelled, accuracy, network, placed
from dfkd.recipes import RECIPES
from dfkd.training.budget import for_teacher_passes
from dfkd.training.loop import DivergedError, Loop, Round, build_generator

PAIRS = {
    "resnet34-resnet18": ("resnet34", "resnet18"),
    "wrn-40-2-wrn-16-1": ("wrn-40-2", "wrn-16-1"),
    "wrn-40-2-wrn-16-2": ("wrn-40-2", "wrn-16-2"),
}
"""Teacher and student by the pair's name."""

EVALUATIONS = 40
"""Times that the student is evaluated over a run."""


class Distillation:
    """One run: the loop, evaluated on the way and saved between slices.

    Args:
        asked: Names the run: "pair", "recipe", "budget" (teacher passes), "seed" and
            "teacher_sha256", of its file. A checkpoint of another run is refused.
        teacher: Frozen, in eval mode.
        test: For evaluation only.
        state: The run's folder.
    """

    def __init__(
        self, asked: dict[str, Any], teacher: nn.Module, test: Labelled, state: Path
    ) -> None:
        torch.manual_seed(asked["seed"])
        self.asked, self.test, self.checkpoint = asked, test, state / "loop.pt"
        device, recipe = test[0].device, RECIPES[asked["recipe"]]
        self.precision = torch.bfloat16 if device.type == "cuda" else torch.float32
        student = network(PAIRS[asked["pair"]][1], device)
        generator = build_generator(recipe, SPEC, CLASSES)
        self.loop = Loop(
            recipe,
            teacher=teacher,
            generator=None if generator is None else placed(generator, device),
            student=student,
            spec=SPEC,
            classes=CLASSES,
            plan=for_teacher_passes(recipe, asked["budget"]),
            seed=asked["seed"],
            device=device,
            precision=self.precision,
        )
        self.curve: list[dict[str, float]] = []
        self.seconds = 0.0
        if self.checkpoint.exists():
            self._take_up()

    def _take_up(self) -> None:
        # Without map_location each tensor returns to where it was: random states to the CPU.
        saved = torch.load(self.checkpoint, weights_only=True)
        refuse_another(self.asked, saved["asked"], self.checkpoint)
        print(f"going on from {self.checkpoint}", flush=True)
        self.loop.load_state_dict(saved["loop"])
        self.curve, self.seconds = saved["curve"], saved["seconds"]

    def save(self) -> None:
        """Write the checkpoint."""
        state = self.loop.state_dict()
        whole = {
            "asked": self.asked,
            # What has not changed since the snapshot is stored once.
            "loop": {**state, "healthy": sharing(state["healthy"], state)},
            "curve": self.curve,
            "seconds": self.seconds,
        }
        write_whole(self.checkpoint, lambda file: torch.save(whole, file))

    def run(self, span: Slice, progress: Progress) -> None:
        """The rounds that are left.

        Raises:
            PausedError: When the slice is over; the run is then saved.
        """
        resumed = time.monotonic()

        def watch(seen: Round) -> None:
            nonlocal resumed
            self.seconds += time.monotonic() - resumed
            main = seen.phase == "adversarial"
            if main and is_due(seen.number, seen.total, EVALUATIONS):
                self.evaluate()
            what = f"{self.asked['recipe']}, {seen.phase}: round"
            progress.say(what, seen.number, seen.total, lambda: self._detail(seen))
            if seen.event:
                print(seen.event, flush=True)
            if not (main and seen.number == seen.total):
                span.tend(self.save)
            resumed = time.monotonic()

        try:
            self.loop.run(watch)
        except DivergedError:
            # The student is back in its last healthy state: that is what the run delivers, and
            # what it would have scored for the rest of the run.
            while len(self.curve) < EVALUATIONS:
                self.evaluate()
        self.save()

    def _detail(self, seen: Round) -> str:
        passes = f"{self.loop.counts.teacher_passes / 1e6:.2f} M passes"
        loss = f"student's loss {seen.losses.get('student', math.nan):.3f}"
        last = f", test {self.curve[-1]['accuracy']:.2f} %" if self.curve else ""
        return f"{passes}, {loss}{last}"

    def evaluate(self) -> None:
        """Add a point to the curve; touches neither weights nor random states."""
        assert self.loop.delivered is not None
        scored = {"accuracy": round(accuracy(self.loop.delivered, self.test), 2)}
        self.curve.append({**scored, **vars(self.loop.counts)})

    def row(self, teacher_accuracy: float, command: str) -> dict[str, Any]:
        """What there is to say of a finished run."""
        scores = [point["accuracy"] for point in self.curve]
        counts = self.loop.counts
        return {
            **self.asked,
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
    """Whether to evaluate after round `number` of `total`.

    Rounds after the warm-up cost alike, so evenly in rounds is evenly in teacher passes; the last
    round is always evaluated. In the warm-up there is nothing new to evaluate.
    """
    return number * evaluations // total > (number - 1) * evaluations // total


def sharing(old: Any, new: Any) -> Any:
    """`old`, with each tensor that equals the one at its place in `new` replaced by that."""
    if isinstance(old, Tensor):
        alike = isinstance(new, Tensor) and (old.dtype, old.device) == (new.dtype, new.device)
        return new if alike and torch.equal(old, new) else old
    if isinstance(old, dict) and isinstance(new, dict):
        # A copy keeps what a state_dict carries beside its items.
        shared = copy.copy(old)
        shared.update({key: sharing(value, new.get(key)) for key, value in old.items()})
        return shared
    if isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        return type(old)(sharing(*pair) for pair in zip(old, new, strict=True))
    return old


def refuse_another(asked: dict[str, Any], found: dict[str, Any], where: Path) -> None:
    """Make sure that what an earlier slice left is of this run.

    Raises:
        ValueError: When it is of another.
    """
    differing = [key for key in asked if found.get(key) != asked[key]]
    if differing:
        raise ValueError(f"{where} is of another run: {', '.join(differing)} differ")


def device_name(device: torch.device) -> str:
    """What a result was measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
