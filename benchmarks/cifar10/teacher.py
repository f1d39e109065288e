"""CIFAR-10 as tensors on the device, and the teachers that are trained on it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor, nn

from benchmarks.cifar10.slices import Progress, Slice, write_whole
from dfkd.images import ImageSpec
from dfkd.models import build

SPEC = ImageSpec((3, 32, 32), (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CLASSES = 10
BATCH = 512
PEAK_RATE = 0.3
RISE = 0.3
"""Share of the training in which the learning rate rises to its peak."""
PAD = 4

Labelled = tuple[Tensor, Tensor]
"""uint8 images (N, 3, 32, 32) and int64 labels (N,)."""


def read(folder: Path, part: str, device: torch.device) -> Labelled:
    """The training or the test set.

    Args:
        folder: Holds cifar10/{part}_00.png, ... (images stacked vertically, as many as there are)
            and cifar10/{part}_labels.npy.
        part: "train" or "test".
        device: Where to put them.

    Raises:
        FileNotFoundError: When there are no images.
        ValueError: When there are not as many labels as images.
    """
    strips = sorted((folder / "cifar10").glob(f"{part}_*.png"))
    if not strips:
        raise FileNotFoundError(folder / "cifar10" / f"{part}_00.png")
    pixels = torch.from_numpy(np.concatenate([read_strip(strip) for strip in strips]))
    named = np.load(folder / "cifar10" / f"{part}_labels.npy", allow_pickle=False)
    if len(named) != len(pixels):
        raise ValueError(f"{len(pixels)} {part} images, but {len(named)} labels")
    labels = torch.from_numpy(named.astype(np.int64))
    return pixels.permute(0, 3, 1, 2).contiguous().to(device), labels.to(device)


def read_strip(path: Path) -> NDArray[np.uint8]:
    """The images of one strip, (N, 32, 32, 3)."""
    with Image.open(path) as strip:
        return np.asarray(strip.convert("RGB")).reshape(-1, 32, 32, 3)


def ready(pixels: Tensor) -> Tensor:
    """Images as a network sees them."""
    return SPEC.normalise(pixels.float() / 255)


@torch.no_grad()
def accuracy(model: nn.Module, labelled: Labelled) -> float:
    """Top-1 accuracy in percent, in eval mode and float32; leaves the model in the mode it had."""
    training = model.training
    model.eval()
    right = 0
    for pixels, labels in zip(labelled[0].split(1000), labelled[1].split(1000), strict=True):
        right += int((model(ready(pixels)).argmax(1) == labels).sum())
    model.train(training)
    return 100.0 * right / len(labelled[1])


def network(name: str, device: torch.device) -> nn.Module:
    """A fresh network of the registry, from torch's global random state."""
    return placed(build(name, SPEC, CLASSES), device)


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on the device, in the layout of its kernels that is fast there."""
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    return model.to(device, memory_format=layout)  # type: ignore[call-overload]


def cropped(pixels: Tensor, corners: Tensor, flips: Tensor) -> Tensor:
    """Images padded by 4, each cropped at its own corner and mirrored where asked.

    Args:
        pixels: (N, C, H, W).
        corners: (N, 2), row and column from 0 to 8.
        flips: (N,), bool.
    """
    padded = F.pad(pixels, (PAD, PAD, PAD, PAD))
    reach = torch.arange(pixels.shape[-1], device=pixels.device)
    rows = corners[:, :1] + reach
    columns = corners[:, 1:] + torch.where(flips[:, None], reach.flip(0), reach)
    each = torch.arange(len(pixels), device=pixels.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def one_cycle(progress: float) -> float:
    """Learning rate: up in a line to its peak, down to 0 as a cosine."""
    if progress < RISE:
        return PEAK_RATE * progress / RISE
    return PEAK_RATE * (1 + math.cos(math.pi * (progress - RISE) / (1 - RISE))) / 2


class Training:
    """A teacher's training; it can stop after any step and go on in another process.

    Args:
        model: Trained in place.
        labelled: The training set.
        epochs: Times that it is seen.
        seed: Of order, crops and flips: each epoch's follow from seed and epoch alone.
    """

    def __init__(self, model: nn.Module, labelled: Labelled, epochs: int, seed: int) -> None:
        self.model, self.seed = model, seed
        self.pixels, self.labels = labelled
        self.batch = min(BATCH, len(self.pixels))
        self.per_epoch = len(self.pixels) // self.batch
        self.step, self.steps = 0, epochs * self.per_epoch
        self.optimizer = torch.optim.SGD(
            model.parameters(), PEAK_RATE, momentum=0.9, weight_decay=5e-4, nesterov=True
        )

    def run(self, watch: Callable[[Tensor], None]) -> None:
        """The steps that are left; `watch` gets each step's loss."""
        self.model.train()
        while self.step < self.steps:
            epoch, first = divmod(self.step, self.per_epoch)
            order, corners, flips = self._draw(epoch)
            for place in range(first, self.per_epoch):
                chosen = order[place * self.batch : (place + 1) * self.batch]
                images = cropped(self.pixels[chosen], corners[chosen], flips[chosen])
                loss = self._learn(ready(images), self.labels[chosen])
                self.step += 1
                watch(loss)

    def _draw(self, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = torch.Generator().manual_seed(1_000_000 * self.seed + epoch)
        count, device = len(self.pixels), self.pixels.device
        order = torch.randperm(count, generator=rng)
        corners = torch.randint(2 * PAD + 1, (count, 2), generator=rng)
        flips = torch.rand(count, generator=rng) < 0.5
        return order.to(device), corners.to(device), flips.to(device)

    def _learn(self, images: Tensor, labels: Tensor) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = one_cycle(self.step / self.steps)
        kind = images.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
            logits = self.model(images)
        loss = F.cross_entropy(logits.float(), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state of a training that was made with the same arguments."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def train(
    name: str,
    file: Path,
    labelled: Labelled,
    *,
    epochs: int,
    seed: int,
    span: Slice,
    progress: Progress,
) -> None:
    """Train a teacher into `file`, going on from where an earlier slice stopped.

    Args:
        name: A key of the registry.
        file: Its safetensors file; until it is there, {file}.unfinished holds the training.
        labelled: The training set.
        epochs: Times that it is seen.
        seed: Of first weights and draws.
        span: The slice.
        progress: Told of every step.

    Raises:
        PausedError: When the slice is over; the unfinished training is then saved.
        ValueError: When the unfinished training is that of another teacher.
    """
    torch.manual_seed(seed)
    training = Training(network(name, labelled[0].device), labelled, epochs, seed)
    unfinished = file.with_name(f"{file.name}.unfinished")
    asked = {"architecture": name, "steps": training.steps, "seed": seed}
    if unfinished.exists():
        saved = torch.load(unfinished, weights_only=True)
        if saved["asked"] != asked:
            raise ValueError(f"{unfinished} is of {saved['asked']}, not of {asked}")
        training.load_state_dict(saved["training"])

    def keep() -> None:
        state = {"asked": asked, "training": training.state_dict()}
        write_whole(unfinished, lambda target: torch.save(state, target))

    def watch(loss: Tensor) -> None:
        step, steps = training.step, training.steps
        progress.say(f"teacher {name}: step", step, steps, lambda: f"loss {loss.item():.3f}")
        if step < steps:
            span.tend(keep)

    training.run(watch)
    # One entry: several would be stored in an order that changes from process to process.
    stored = save(small(training.model), {"teacher": str(asked)})
    write_whole(file, lambda target: target.write(stored))
    unfinished.unlink(missing_ok=True)


def small(model: nn.Module) -> dict[str, Tensor]:
    """A model's state for a file: matrices and kernels in half precision.

    Vectors stay as they are: they weigh nothing, and the variances of batch norms may be too small
    or too large for half precision.
    """
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    return {
        name: (value.half() if value.dim() > 1 else value).contiguous()
        for name, value in state.items()
    }


def load(name: str, file: Path, device: torch.device) -> nn.Module:
    """A trained teacher: frozen, in eval mode and float32."""
    model = network(name, device)
    model.load_state_dict(load_file(file))
    return model.eval().requires_grad_(False)
