"""The frozen teacher, with a count of its forward passes."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfkd.models.forward_pass import ForwardPass, forward_with_features
from dfkd.models.precision import reduced


@dataclass
class Counts:
    """The cost of a run, for comparing methods.

    Attributes:
        student_steps: Number of updates of the student.
        images: Number of images drawn or optimized.
        teacher_passes: Each image counts 1 in a forward pass, and 3 in a forward and backward pass.
    """

    student_steps: int = 0
    images: int = 0
    teacher_passes: int = 0


class Teacher:
    """A frozen network with a count of its forward passes.

    Args:
        network: A network in eval mode whose parameters do not require gradients.
        counts: The counts to which the passes are added.
        precision: Data type of its arithmetic; logits and statistics are float32.
    """

    def __init__(
        self, network: nn.Module, counts: Counts, precision: torch.dtype = torch.float32
    ) -> None:
        self.network, self.counts, self.precision = network, counts, precision

    def differentiable_pass(self, images: Tensor, needs: Collection[str] = ()) -> ForwardPass:
        """Return a forward pass that is differentiable; it counts 3 for each image.

        Args:
            images: Normalized images (N, C, H, W).
            needs: What to record, as for `forward_with_features`.
        """
        self.counts.teacher_passes += 3 * len(images)
        with reduced(images.device, self.precision):
            return forward_with_features(self.network, images, needs)

    @torch.no_grad()
    def plain_pass(self, images: Tensor, needs: Collection[str] = ()) -> ForwardPass:
        """Return a forward pass without gradients; it counts 1 for each image.

        Args:
            images: Normalized images (N, C, H, W).
            needs: What to record, as for `forward_with_features`.
        """
        self.counts.teacher_passes += len(images)
        with reduced(images.device, self.precision):
            return forward_with_features(self.network, images, needs)
