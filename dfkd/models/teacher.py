"""The frozen teacher, asked by generator, memory and student alike; every pass is counted."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfkd.models.forward_pass import Look, look


@dataclass
class Counts:
    """What a run has cost: the currency in which methods are compared.

    Attributes:
        student_steps: Updates of the student.
        images: Images drawn or made.
        teacher_passes: Per image, a forward counts 1, a forward with backward 3.
    """

    student_steps: int = 0
    images: int = 0
    teacher_passes: int = 0


class Teacher:
    """A frozen network and the count of what it was asked.

    Args:
        network: In eval mode, without gradients of its own.
        counts: Where passes are counted.
        precision: What its arithmetic runs in; logits and statistics are float32.
    """

    def __init__(
        self, network: nn.Module, counts: Counts, precision: torch.dtype = torch.float32
    ) -> None:
        self.network, self.counts, self.precision = network, counts, precision

    def judge(self, images: Tensor, needs: Collection[str] = ()) -> Look:
        """A pass that the gradient goes back through; counts 3 an image."""
        self.counts.teacher_passes += 3 * len(images)
        with reduced(images.device, self.precision):
            return look(self.network, images, needs)

    @torch.no_grad()
    def answer(self, images: Tensor, needs: Collection[str] = ()) -> Look:
        """A pass without gradient; counts 1 an image."""
        self.counts.teacher_passes += len(images)
        with reduced(images.device, self.precision):
            return look(self.network, images, needs)


def reduced(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Autocast to `precision` on a device; no autocast for float32."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)
