"""Train the CIFAR-10 teachers, in time slices."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor, nn

from benchmarks.cifar10.images import (
    CLASSES,
    PADDING,
    SPEC,
    LabelledPixels,
    crop_and_flip,
    normalise,
)
from benchmarks.cifar10.slices import ProgressLines, TimeSlice, write_atomically
from dfkd.models import build

BATCH = 512

PEAK_LR = 0.3

RISING_SHARE = 0.3
"""Share of the training in which the learning rate rises to its peak."""


def build_network(name: str, device: torch.device) -> nn.Module:
    """Return a new network with weights drawn from torch's global random state.

    Args:
        name: A key of `dfkd.models.ARCHITECTURES`.
        device: The device of the network.
    """
    return to_device(build(name, SPEC, CLASSES), device)


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model on the device, with the memory layout that is fast on this device."""
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    return model.to(device, memory_format=layout)  # type: ignore[call-overload]


def one_cycle(progress: float) -> float:
    """Return the learning rate, which rises linearly to its peak and falls to 0 along a cosine.

    Args:
        progress: Share of the training that is done, from 0 to 1.
    """
    if progress < RISING_SHARE:
        return PEAK_LR * progress / RISING_SHARE
    return PEAK_LR * (1 + math.cos(math.pi * (progress - RISING_SHARE) / (1 - RISING_SHARE))) / 2


class Training:
    """The training of a teacher; it can stop after any step and resume in another process.

    Args:
        model: The network, trained in place.
        labelled: The training set.
        epochs: Passes over the training set.
        seed: Seed that, together with the number of the epoch, determines order, crops and flips.
    """

    def __init__(self, model: nn.Module, labelled: LabelledPixels, epochs: int, seed: int) -> None:
        self.model, self.seed = model, seed
        self.pixels, self.labels = labelled
        self.batch = min(BATCH, len(self.pixels))
        self.per_epoch = len(self.pixels) // self.batch
        self.step, self.steps = 0, epochs * self.per_epoch
        self.optimizer = torch.optim.SGD(
            model.parameters(), PEAK_LR, momentum=0.9, weight_decay=5e-4, nesterov=True
        )

    def run(self, after_step: Callable[[Tensor], None]) -> None:
        """Run the remaining steps; `after_step` is called with the loss of each step."""
        self.model.train()
        while self.step < self.steps:
            epoch, first = divmod(self.step, self.per_epoch)
            order, corners, flips = self._draw(epoch)
            for index in range(first, self.per_epoch):
                chosen = order[index * self.batch : (index + 1) * self.batch]
                images = crop_and_flip(self.pixels[chosen], corners[chosen], flips[chosen])
                loss = self._train_step(normalise(images), self.labels[chosen])
                self.step += 1
                after_step(loss)

    def _draw(self, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = torch.Generator().manual_seed(1_000_000 * self.seed + epoch)
        count, device = len(self.pixels), self.pixels.device
        order = torch.randperm(count, generator=rng)
        corners = torch.randint(2 * PADDING + 1, (count, 2), generator=rng)
        flips = torch.rand(count, generator=rng) < 0.5
        return order.to(device), corners.to(device), flips.to(device)

    def _train_step(self, images: Tensor, labels: Tensor) -> Tensor:
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
        """Return the state for a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a training that was constructed with the same arguments."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def train(
    name: str,
    file: Path,
    labelled: LabelledPixels,
    *,
    epochs: int,
    seed: int,
    time_slice: TimeSlice,
    progress: ProgressLines,
) -> None:
    """Train a teacher and write its weights, or resume the training of an earlier slice.

    Args:
        name: A key of `dfkd.models.ARCHITECTURES`.
        file: The safetensors file. Until the training is finished, its state is in
            {file}.unfinished.
        labelled: The training set.
        epochs: Passes over the training set.
        seed: Seed of the initial weights and of all random numbers.
        time_slice: Determines when to stop.
        progress: Called with every step.

    Raises:
        PausedError: If the time slice is over; the state is then saved.
        ValueError: If {file}.unfinished belongs to another teacher.
    """
    torch.manual_seed(seed)
    training = Training(build_network(name, labelled[0].device), labelled, epochs, seed)
    unfinished = file.with_name(f"{file.name}.unfinished")
    identity = {"architecture": name, "steps": training.steps, "seed": seed}
    if unfinished.exists():
        saved = torch.load(unfinished, weights_only=True)
        if saved["asked"] != identity:
            raise ValueError(
                f"{unfinished} belongs to another teacher: {saved['asked']}, not {identity}; "
                "use another file"
            )
        training.load_state_dict(saved["training"])

    def save_state() -> None:
        state = {"asked": identity, "training": training.state_dict()}
        write_atomically(unfinished, lambda target: torch.save(state, target))

    def after_step(loss: Tensor) -> None:
        step, steps = training.step, training.steps
        progress.report(f"teacher {name}: step", step, steps, lambda: f"loss {loss.item():.3f}")
        if step < steps:
            time_slice.checkpoint(save_state)

    training.run(after_step)
    # Only one entry of metadata, because the order of several would differ between processes.
    stored = save(compact_state(training.model), {"teacher": str(identity)})
    write_atomically(file, lambda target: target.write(stored))
    unfinished.unlink(missing_ok=True)


def compact_state(model: nn.Module) -> dict[str, Tensor]:
    """Return a state dict for a file, with matrices and kernels in half precision.

    Vectors stay in float32, because they are small and the variances of batch norms can exceed the
    range of half precision.
    """
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    return {
        name: (value.half() if value.dim() > 1 else value).contiguous()
        for name, value in state.items()
    }


def load_trained(name: str, file: Path, device: torch.device) -> nn.Module:
    """Return a trained teacher, frozen, in eval mode and in float32."""
    model = build_network(name, device)
    model.load_state_dict(load_file(file))
    return model.eval().requires_grad_(False)
