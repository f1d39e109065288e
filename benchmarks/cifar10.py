"""Data-free distillation on CIFAR-10, sized for a data-centre GPU: any recipe on a known pair.

    python -m benchmarks.cifar10 DATA --pair resnet34-resnet18 --recipe house \
        --passes 20000000 --slice 540 --state STATE --seed 0
    python -m benchmarks.cifar10 --collect STATE...

Trains the teacher (or loads the one in its place), distils, and leaves STATE/row.json. A run goes
in slices: after `--slice` seconds it saves at the next round and exits with 75; the same command
goes on. SIGINT and SIGTERM save likewise, and a second one stops at once. Needs torch, numpy,
safetensors and Pillow beside dfkd/, and no other part of this repository.

STATE/loop.pt holds the loop with its healthy snapshot and its pool of images: on ResNet-34 ->
ResNet-18 about 0.4 GB for house, up to 0.6 GB for most, and 6 GB for cmi, whose bank of
descriptors is there twice.
"""

import argparse
import copy
import hashlib
import json
import math
import shlex
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import cifar10_teacher
from benchmarks.cifar10_slices import PausedError, Progress, Slice, write_whole
from benchmarks.cifar10_table import PASSES, collect
from benchmarks.cifar10_teacher import CLASSES, SPEC, Labelled, accuracy
from dfkd.budget import for_teacher_passes
from dfkd.loop import DivergedError, Loop, Round, build_generator
from dfkd.recipes import RECIPES

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
        asked: Names the run: "pair", "recipe", "budget" (teacher passes), "seed" and "teacher", the
            digest of its file. A checkpoint of another run is refused.
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
        student = cifar10_teacher.network(PAIRS[asked["pair"]][1], device)
        generator = build_generator(recipe, SPEC, CLASSES)
        self.loop = Loop(
            recipe,
            teacher=teacher,
            generator=None if generator is None else generator.to(device),
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
            # The student is back in its last healthy state: that is what the run delivers.
            self.evaluate()

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
            "teacher_file": self.asked["teacher"],
            "teacher": round(teacher_accuracy, 2),
            "final": scores[-1],
            "mu": round(statistics.mean(scores), 2),
            "deviation": round(statistics.pstdev(scores), 2),
            "peak": max(scores),
            "last10": round(statistics.mean(scores[-10:]), 2),
            "passes": counts.teacher_passes,
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


def work(options: argparse.Namespace, span: Slice) -> None:
    """Teacher, distillation and row, as far as the slice goes.

    Raises:
        PausedError: When the slice is over first.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    name = PAIRS[options.pair][0]
    file, progress = options.teacher or options.state / "teacher.safetensors", Progress()
    if not file.exists():
        train = cifar10_teacher.read(options.data, "train", device)
        how = {"epochs": options.epochs, "seed": options.seed}
        cifar10_teacher.train(name, file, train, **how, span=span, progress=progress)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    asked = {key: getattr(options, key) for key in ("pair", "recipe", "seed")}
    asked |= {"budget": options.passes, "teacher": digest}
    test = cifar10_teacher.read(options.data, "test", device)
    teacher = cifar10_teacher.load(name, file, device)
    run = Distillation(asked, teacher, test, options.state)
    run.run(span, progress)
    row = run.row(accuracy(teacher, test), _command(options))
    text = json.dumps(row, indent=2) + "\n"
    write_whole(options.state / "row.json", lambda target: target.write(text.encode()))
    print(json.dumps({key: value for key, value in row.items() if key != "curve"}))


def _command(options: argparse.Namespace) -> str:
    words = ["python", "-m", "benchmarks.cifar10", "DATA", "--state", "STATE"]
    words += ["--teacher", "TEACHER"] if options.teacher else ["--epochs", str(options.epochs)]
    for key in ("pair", "recipe", "passes", "seed"):
        words += [f"--{key}", str(getattr(options, key))]
    return shlex.join(words)


def _parser() -> argparse.ArgumentParser:
    lead, examples, rest = (__doc__ or "").split("\n\n", 2)
    parser = argparse.ArgumentParser(
        "python -m benchmarks.cifar10",
        description=lead,
        epilog=f"examples:\n{examples}\n\n{rest}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", nargs="?", type=Path, help="holds cifar10/ with PNG strips and labels")
    add("--pair", choices=PAIRS, help="teacher and student")
    add("--recipe", choices=RECIPES, default="house", metavar="NAME", help="any of dfkd.recipes")
    add("--passes", type=int, default=PASSES, help="teacher passes (default: %(default)s)")
    add("--slice", type=float, default=math.inf, help="seconds before it saves and exits with 75")
    add("--state", type=Path, help="the run's folder: one run, one folder")
    add("--teacher", type=Path, help="its file, to share one; trained when it is not there yet")
    add("--epochs", type=int, default=30, help="of the teacher (default: %(default)s)")
    add("--seed", type=int, default=0, help="of teacher and run (default: %(default)s)")
    add("--collect", nargs="*", type=Path, metavar="STATE", help="put finished runs into results/")
    return parser


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(words)
    if options.collect is not None:
        collect(options.collect, EVALUATIONS)
        return 0
    missing = [key for key in ("data", "pair", "state") if getattr(options, key) is None]
    if missing:
        parser.error(f"missing: {', '.join(missing)}")
    with Slice(options.slice) as span:
        try:
            work(options, span)
        except PausedError:
            print(f"paused; the same command goes on (exit code {span.exit_code})", flush=True)
            return span.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
