"""Measure the overhead of the training loop: the house recipe against the same steps without it.

python -m benchmarks.speed.loop_overhead

Both start from the same networks and the same random state and end with the same weights. They run
in turns in one process, so that both are affected alike by other work on the machine.
"""

import contextlib
import json
import math
import statistics
import time
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from benchmarks.data import MNIST_INPUT
from benchmarks.machine import describe_machine
from benchmarks.mnist.teachers import TEACHERS
from benchmarks.result_pages import RESULTS
from dfkd.composition import ImagePool
from dfkd.models import build
from dfkd.recipes.house import HOUSE
from dfkd.training.loop import Loop, Plan, build_generator


def build_networks(seed: int, teacher: str) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return (teacher, student, generator); the same seed gives the same weights."""
    torch.manual_seed(seed)
    frozen = TEACHERS[teacher].load(Path())
    generator = build_generator(HOUSE, MNIST_INPUT, 10)
    assert generator is not None
    return frozen, build("lenet5-half-bn", MNIST_INPUT, 10), generator


class PlainTraining:
    """The house recipe as a plain script: no recipe object, no divergence check, no report."""

    def __init__(self, seed: int, teacher: str, rounds: int) -> None:
        self.teacher, self.student, self.generator = build_networks(seed, teacher)
        self.norms = [m for m in self.teacher.modules() if isinstance(m, nn.BatchNorm2d)]
        self.rng = torch.Generator().manual_seed(seed)
        self.for_generator = torch.optim.Adam(self.generator.parameters(), HOUSE.generator.lr)
        self.for_student = torch.optim.Adam(self.student.parameters(), HOUSE.student.lr)
        self.rounds_done, self.rounds = 0, rounds
        assert isinstance(HOUSE.memory, ImagePool)
        self.capacity = HOUSE.memory.capacity
        self.images = torch.zeros(self.capacity, 1, 32, 32, dtype=torch.half)
        self.logits = torch.zeros(self.capacity, 10)
        self.filled = 0

    def one_round(self) -> None:
        """Run one generator step, four fresh batches and forty student steps."""
        factor = 0.01 + 0.99 * (1 + math.cos(math.pi * self.rounds_done / self.rounds)) / 2
        self.for_generator.param_groups[0]["lr"] = HOUSE.generator.lr * factor
        self.for_student.param_groups[0]["lr"] = HOUSE.student.lr * factor
        self._generator_step()
        batch, fresh = HOUSE.schedule.batch, []
        with torch.no_grad():
            for _ in range(HOUSE.schedule.fresh_batches):
                x = self.generator(torch.randn(batch, 256, generator=self.rng))
                half, share = x[: batch // 2], torch.rand(batch // 2, 1, 1, 1, generator=self.rng)
                x = torch.cat([share * half + (1 - share) * half.flip(0), x[batch // 2 :]])
                t = self.teacher(x)
                slots = (torch.arange(batch) + self.filled) % self.capacity
                self.images[slots], self.logits[slots] = x.half(), t
                self.filled += batch
                fresh.append((x, t))
        self.student.train()
        for step in range(HOUSE.schedule.student_steps):
            known = min(self.filled, self.capacity)
            index = torch.randint(known, (batch,), generator=self.rng)
            x, t = self.images[index].float(), self.logits[index]
            if step < len(fresh):
                x, t = torch.cat([fresh[step][0], x]), torch.cat([fresh[step][1], t])
            loss = 16 * F.kl_div(
                F.log_softmax(self.student(x) / 4, 1),
                F.log_softmax(t / 4, 1),
                reduction="batchmean",
                log_target=True,
            )
            self.for_student.zero_grad(set_to_none=True)
            loss.backward()
            self.for_student.step()
        self.rounds_done += 1

    def _generator_step(self) -> None:
        self.generator.train()
        latents = torch.randn(HOUSE.schedule.batch, 256, generator=self.rng)
        distances: list[Tensor] = []

        def compare(layer: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
            assert layer.running_mean is not None and layer.running_var is not None
            within, means = torch.var_mean(inputs[0], (2, 3), correction=0)
            deviation = layer.running_var.sqrt()
            shift = (means.mean(0) - layer.running_mean) / deviation
            spread = (within.mean(0) + means.var(0, unbiased=False)).sqrt() / deviation - 1
            distances.append((shift.square() + spread.square()).mean())

        handles = [layer.register_forward_pre_hook(compare) for layer in self.norms]
        x = self.generator(latents)
        t = self.teacher(x)
        for handle in handles:
            handle.remove()
        self.student.eval()
        s = self.student(x)
        loss = 0.1 * F.cross_entropy(t, t.argmax(1))
        mean = t.softmax(1).mean(0)
        loss = loss + 5 * (mean * mean.log()).sum()
        loss = loss - 2 * _kl(t, s)
        if distances:
            loss = loss + 100 * torch.stack(distances).mean()
        self.for_generator.zero_grad(set_to_none=True)
        loss.backward(inputs=list(self.generator.parameters()))
        self.for_generator.step()


def _kl(teacher: Tensor, student: Tensor) -> Tensor:
    first, second = F.log_softmax(student, 1), F.log_softmax(teacher, 1)
    return F.kl_div(first, second, reduction="none", log_target=True).sum(1).mean()


def build_loop(seed: int, teacher: str, rounds: int) -> Loop:
    """Return the training loop that does the same as `PlainTraining`."""
    frozen, student, generator = build_networks(seed, teacher)
    return Loop(
        HOUSE,
        teacher=frozen,
        generator=generator,
        student=student,
        spec=MNIST_INPUT,
        classes=10,
        plan=Plan(0, rounds),
        seed=seed,
        device=torch.device("cpu"),
    )


class AllTimedError(Exception):
    """Every round that counts was timed; ends the loop."""


def compare(teacher: str, rounds: int, warm: int = 5) -> dict[str, float]:
    """Time both, in turns round by round, as parts of a run of the published length.

    Args:
        teacher: A key of `benchmarks.mnist.teachers.TEACHERS`, one from this repository.
        rounds: Timed rounds.
        warm: Rounds before them, which are not counted.

    Returns:
        "straight_ms" and "engine_ms", the mean milliseconds of a round of the plain script and of
        the loop, and their "ratio".
    """
    length = HOUSE.schedule.rounds
    plain, seconds = PlainTraining(0, teacher, length), {"straight": [0.0], "engine": [0.0]}
    last = time.perf_counter()

    def between(_: object) -> None:
        nonlocal last
        seconds["engine"].append(time.perf_counter() - last)
        started = time.perf_counter()
        plain.one_round()
        last = time.perf_counter()
        seconds["straight"].append(last - started)
        if len(seconds["straight"]) > rounds + warm:
            raise AllTimedError

    with contextlib.suppress(AllTimedError):
        build_loop(0, teacher, length).run(between)
    means = {name: statistics.fmean(times[1 + warm :]) for name, times in seconds.items()}
    ratio = means["engine"] / means["straight"]
    return {**{f"{name}_ms": 1e3 * value for name, value in means.items()}, "ratio": ratio}


def main(rounds: Annotated[int, typer.Option(help="Timed rounds of each.")] = 200) -> None:
    """Measure, print the rows and write results/loop_overhead.json."""
    rows = [
        {"teacher": teacher, **{k: round(v, 4) for k, v in compare(teacher, rounds).items()}}
        for teacher in ("lenet5", "lenet5-bn")
    ]
    result = {
        "rows": rows,
        "rounds": rounds,
        "seed": 0,
        "threads": torch.get_num_threads(),
        "machine": describe_machine(),
        "command": f"python -m benchmarks.speed.loop_overhead --rounds {rounds}",
    }
    (RESULTS / "loop_overhead.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    typer.run(main)
