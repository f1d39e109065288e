"""Try changed settings below 8 bits on CIFAR-10 training images, without test images.

python -m benchmarks.quantization.search --data DATA --teachers TEACHERS stages=10 warmup_rounds=3e3
"""

from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from benchmarks.data import load_data_set
from benchmarks.machine import describe_machine
from benchmarks.quantization.jobs import STEPS, Job
from benchmarks.quantization.run import run_steps
from benchmarks.search_table import add_trial
from dfkd.images import ImageSpec
from pipeline.store.store import Store
from pipeline.teachers.loading import load_teacher, parse_weights
from pipeline.teachers.networks import image_spec
from pipeline.teachers.weights_file import read_weights

TEACHER = "cifar10_resnet20"

IMAGES = 10_000

SHIFT = 4
"""Largest shift in pixels; the usual value when CIFAR-10 networks are trained."""

NOISE = 0.1
"""Standard deviation of the noise, in units of normalized images. It is large enough that the
teacher makes errors."""

HEADING = (
    "# Trials below 8 bits, on training images of CIFAR-10\n\n"
    f"The student is {TEACHER} itself, quantized. Accuracies are in percent on the last {IMAGES:,} "
    f"training images: shifted by up to {SHIFT} pixels and flipped (`clean`), and also with noise "
    f"of standard deviation {NOISE} (`noisy`). The teacher was trained on these images, so the "
    "accuracy lost on them does not predict the accuracy lost on test images. `KL` is the "
    "divergence from the teacher's predictions to the student's, in nats per image. `changes` are "
    "overrides of the recipe of the choice; changes that are not of the form NAME=VALUE were made "
    "in the code and not kept. Each trial had one thread, beside another one.\n\n"
    "Command: `python -m benchmarks.quantization.search --data DATA --teachers TEACHERS CHANGES "
    "--choice CHOICE --bits BITS --steps STEPS --seed SEED`.\n\n"
    "Rows without a machine in the JSON file are older than this command. Temporary scripts scored "
    "them on the same images, with changed code that compared the outputs of the stages as the "
    "setting `stages` does now. Earlier trials are not listed (frozen generator; crop-flip; 1,200 "
    "steps), nor are two that were stopped (stages=30; 1,200 steps with stages) and one whose "
    "changed code turned out not to run."
)

COLUMNS = (
    "choice",
    "bits",
    "steps",
    "changes",
    "seed",
    *(f"{name}_{images}" for images in ("clean", "noisy") for name in ("teacher", "student", "KL")),
    "seconds",
)


def main(
    data: Annotated[Path, typer.Option(help="Folder with the real data sets.")],
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")],
    changes: Annotated[
        list[str] | None, typer.Argument(help="Overrides of the recipe, as NAME=VALUE.")
    ] = None,
    choice: Annotated[
        str, typer.Option(help="A choice of the quantization table.")
    ] = "adversarial",
    bits: Annotated[int, typer.Option(help="Bits of weights and activations.")] = 4,
    steps: Annotated[int, typer.Option(help="Student steps.")] = STEPS,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    state: Annotated[Path, typer.Option(help="Folder of the store.")] = Path("state"),
) -> None:
    """Run one trial and add its row to results/quantization_search.json."""
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
    images, labels = load_data_set("cifar10", data, train=True, spec=spec, last=IMAGES)
    rng = torch.Generator().manual_seed(7)
    clean = shifted(images, spec, rng)
    noisy = clean + NOISE * torch.randn(clean.shape, generator=rng)
    student = made.quantized(config)
    row = {
        "choice": choice,
        "bits": bits,
        "steps": steps,
        "changes": " ".join(changes or []),
        "seed": seed,
        **compare("clean", teacher, student, clean, labels),
        **compare("noisy", teacher, student, noisy, labels),
        "seconds": round(made.seconds),
        "machine": describe_machine(),
    }
    add_trial("quantization_search", HEADING, COLUMNS, row)


def shifted(images: Tensor, spec: ImageSpec, rng: torch.Generator) -> Tensor:
    """Return images shifted by up to `SHIFT` pixels, with black edges; about half are mirrored.

    Args:
        images: Normalized images, (N, C, H, W).
        spec: Normalization of the images.
        rng: Random number generator for shifts and flips.
    """
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
def compare(
    name: str, teacher: nn.Module, student: nn.Module, images: Tensor, labels: Tensor
) -> dict[str, float]:
    """Return both networks' accuracies in percent, and KL(teacher || student) in nats per image.

    Args:
        name: Name of the images; each key of the result ends with it.
        teacher: Function from images to logits (N, K).
        student: Function of the same kind as `teacher`.
        images: Normalized images, (N, C, H, W).
        labels: (N,).
    """
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
