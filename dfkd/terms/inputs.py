"""The tensors of one synthesized batch that terms are computed from."""

from dataclasses import dataclass

from torch import Tensor

from dfkd.models.forward_pass import ForwardPass, LayerStatistics


@dataclass(frozen=True)
class TermInputs:
    """A synthesized batch, with one forward pass of the teacher and one of the student.

    Attributes:
        images: (N, C, H, W) on the standard scale, see `ImageSpec.from_standard`.
        teacher: The teacher's pass, with statistics and features if a term needs them.
        student_logits: (N, K); None in a warm-up.
        labels: (N,) class labels or (N, K) soft labels; None for an unconditional generator.
        latents: (N, latent); None without a generator.
    """

    images: Tensor
    teacher: ForwardPass
    student_logits: Tensor | None = None
    labels: Tensor | None = None
    latents: Tensor | None = None

    @property
    def teacher_logits(self) -> Tensor:
        """The teacher's logits, (N, K)."""
        return self.teacher.logits

    @property
    def statistics(self) -> list[LayerStatistics]:
        """Statistics of the inputs of the teacher's batch norms."""
        return self.teacher.statistics

    @property
    def features(self) -> Tensor | None:
        """The inputs of the teacher's last linear layer, (N, F)."""
        return self.teacher.features

    @property
    def soft_labels(self) -> Tensor | None:
        """The labels, (N, K), if the synthesizer chooses soft labels."""
        return self.labels

    def selected(self, mask: Tensor) -> "TermInputs":
        """Return the networks' outputs for the images where `mask` (N,) is true.

        `images` keeps all images, because terms on pixels use the whole batch (TA-DFKD).
        """
        teacher = ForwardPass(
            self.teacher.logits[mask],
            [
                LayerStatistics(s.means[mask], s.variances[mask], s.stored_mean, s.stored_variance)
                for s in self.teacher.statistics
            ],
            None if self.teacher.features is None else self.teacher.features[mask],
        )

        def part(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[mask]

        return TermInputs(
            self.images, teacher, part(self.student_logits), part(self.labels), part(self.latents)
        )
