"""Try a change to how few bits are learnt, on CIFAR-10 training images; no test image is read.

python -m benchmarks.quantization.search --data DATA --teachers TEACHERS stages=10 warmup_rounds=3e3
"""

from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from benchmarks.data import load
from benchmarks.machine import describe
from benchmarks.quantization.jobs import STEPS, Job
from benchmarks.quantization.run import run_steps
from benchmarks.search_table import keep
from dfkd.images import ImageSpec
from pipeline.store.store import Store
from pipeline.teachers.loading import load_teacher, parse_weights
from pipeline.teachers.networks import image_spec
from pipeline.teachers.weights_file import read_weights

TEACHER = "cifar10_resnet20"

IMAGES = 10_000

SHIFT = 4
"""Pixels, at most: as in the training of most CIFAR-10 networks."""

NOISE = 0.1
"""Standard deviation, in units of normalised images: enough that the teacher errs at all."""

HEADING = (
    "# What was tried below 8 bits, on training images\n\n"
    f"{TEACHER} quantized as it is; accuracies in percent on the last {IMAGES:,} CIFAR-10 training "
    f"images, shifted by up to {SHIFT} pixels and flipped (`clean`), and with noise of deviation "
    f"{NOISE} added (`noisy`). The teacher has learnt from these images, so what it loses on them "
    "is no forecast; `KL` is from its answers to the student's, nats an image. `changes` are "
    "against the recipe of the choice. One thread a run, another beside it. Command: `python -m "
    "benchmarks.quantization.search --data DATA --teachers TEACHERS CHANGES --choice CHOICE --bits "
    "BITS --steps STEPS --seed SEED`. Rows without a machine in the JSON file are older than the "
    "command: throw-away scripts scored them on the same images, with a patch that compared stages "
    "as `stages` does now. Changes in words have no command. Not here: trials before these "
    "(frozen, crop-flip, 1,200 steps), two that were broken off (stages=30; 1,200 steps with "
    "stages), and one whose patch turned out not to be reached."
)

COLUMNS = (
    "choice",
    "bits",
    "steps",
    "changes",
    "seed",
    *(f"{what}_{images}" for images in ("clean", "noisy") for what in ("teacher", "student", "KL")),
    "seconds",
)


def main(
    data: Annotated[Path, typer.Option(help="Folder with the real sets.")],
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")],
    changes: Annotated[list[str] | None, typer.Argument(help="NAME=VALUE, as overrides.")] = None,
    choice: Annotated[str, typer.Option(help="Of the quantization table.")] = "adversarial",
    bits: int = 4,
    steps: int = STEPS,
    seed: int = 0,
    state: Annotated[Path, typer.Option(help="Folder for what goes on later.")] = Path("state"),
) -> None:
    """One run; its row goes into results/quantization_search.json."""
    config = Job(TEACHER, choice, bits, bits, seed).config(teachers)
    overrides = {name: float(value) for name, value in (c.split("=") for c in changes or [])}
    section = config.quantize.model_dump(exclude_unset=True) | {
        "overrides": overrides,
        "budget": {"steps": steps},
    }
    quantize = type(config.quantize).model_validate(section)
    config = config.model_copy(update={"quantize": quantize})
    made = run_steps(config, Store(str(state)), state / "quantization_search", probed=False)
    spec, url = image_spec(config.input), config.teacher.weights
    teacher = load_teacher(
        config.teacher, spec, parse_weights(read_weights(url), url), torch.device("cpu")
    )
    images, labels = load("cifar10", data, train=True, spec=spec, last=IMAGES)
    rng = torch.Generator().manual_seed(7)
    clean = shifted(images, spec, rng)
    noisy = clean + NOISE * torch.randn(clean.shape, generator=rng)
    student = made.quantized(config)
    keep(
        "quantization_search",
        HEADING,
        COLUMNS,
        {
            "choice": choice,
            "bits": bits,
            "steps": steps,
            "changes": " ".join(changes or []),
            "seed": seed,
            **compared("clean", teacher, student, clean, labels),
            **compared("noisy", teacher, student, noisy, labels),
            "seconds": round(made.seconds),
            "machine": describe(),
        },
    )


def shifted(images: Tensor, spec: ImageSpec, rng: torch.Generator) -> Tensor:
    """Images (N, C, H, W), each moved by up to `SHIFT` pixels over black, every other flipped."""
    count, channels, height, width = images.shape
    black = spec.normalise(torch.full((1, channels, 1, 1), spec.value_range[0]))
    padded = black.expand(count, channels, height + 2 * SHIFT, width + 2 * SHIFT).clone()
    padded[:, :, SHIFT:-SHIFT, SHIFT:-SHIFT] = images
    down, across = (torch.randint(2 * SHIFT + 1, (count,), generator=rng) for _ in range(2))
    flip = torch.rand(count, generator=rng) < 0.5
    moved = torch.stack(
        [
            image[:, top : top + height, left : left + width]
            for image, top, left in zip(padded, down.tolist(), across.tolist(), strict=True)
        ]
    )
    moved[flip] = moved[flip].flip(3)
    return moved


@torch.no_grad()
def compared(
    name: str, teacher: nn.Module, student: nn.Module, images: Tensor, labels: Tensor
) -> dict[str, float]:
    """Accuracies of both in percent, and KL(teacher || student) in nats an image."""
    theirs, ours = (
        torch.cat([network(part) for part in images.split(500)]) for network in (teacher, student)
    )
    distance = F.kl_div(
        ours.log_softmax(1), theirs.log_softmax(1), log_target=True, reduction="batchmean"
    )

    def accuracy(logits: Tensor) -> float:
        return round(100 * (logits.argmax(1) == labels).double().mean().item(), 2)

    return {
        f"teacher_{name}": accuracy(theirs),
        f"student_{name}": accuracy(ours),
        f"KL_{name}": round(distance.item(), 4),
    }


if __name__ == "__main__":
    typer.run(main)
