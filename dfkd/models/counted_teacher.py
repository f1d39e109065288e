"""The frozen teacher, with a count of its forward passes."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfkd.models.forward_pass import ForwardPass, forward_with_features


@dataclass
class Counts:
    """The cost of a run, by which methods are compared.

    Attributes:
        student_steps: Updates of the student.
        images: Images drawn or optimized.
        teacher_passes: For each image, a forward pass counts 1, a forward with backward pass 3.
    """

    student_steps: int = 0
    images: int = 0
    teacher_passes: int = 0


class Teacher:
    """A frozen network that counts its passes.

    Args:
        network: In eval mode, its parameters without gradients.
        counts: Where the passes are counted.
        precision: Of its arithmetic; logits and statistics are float32.
    """

    def __init__(
        self, network: nn.Module, counts: Counts, precision: torch.dtype = torch.float32
    ) -> None:
        self.network, self.counts, self.precision = network, counts, precision

    def differentiable_pass(self, images: Tensor, needs: Collection[str] = ()) -> ForwardPass:
        """Return a pass with gradients to the images (N, C, H, W); counts 3 an image.

        Args:
            images: Normalized images.
            needs: As for `forward_with_features`.
        """
        self.counts.teacher_passes += 3 * len(images)
        with reduced(images.device, self.precision):
            return forward_with_features(self.network, images, needs)

    @torch.no_grad()
    def plain_pass(self, images: Tensor, needs: Collection[str] = ()) -> ForwardPass:
        """Return a pass without gradients; counts 1 an image.

        Args:
            images: Normalized images (N, C, H, W).
            needs: As for `forward_with_features`.
        """
        self.counts.teacher_passes += len(images)
        with reduced(images.device, self.precision):
            return forward_with_features(self.network, images, needs)


def reduced(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Return an autocast to `precision` on a device; a disabled one for float32."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)
