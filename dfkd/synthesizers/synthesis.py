"""One batch on its way from the generator, and what the networks make of it."""

from dataclasses import dataclass

from torch import Tensor

from dfkd.models.forward_pass import LayerStatistics, Look


@dataclass(frozen=True)
class Synthesis:
    """What every term is computed from: one pass of the teacher, one of the student.

    Attributes:
        images: (N, C, H, W), normalised.
        teacher: Its pass, with statistics and features when a term needs them.
        student_logits: (N, K); None while the generator learns from the teacher alone.
        labels: (N,) classes asked for, or (N, K) soft labels; None when nothing was asked for.
        latents: (N, latent); None when the images come from no generator.
    """

    images: Tensor
    teacher: Look
    student_logits: Tensor | None = None
    labels: Tensor | None = None
    latents: Tensor | None = None

    def kept(self, mask: Tensor) -> "Synthesis":
        """What the networks say of the images for which `mask` (N,) is true.

        `images` stay whole: terms on pixels are about the batch as drawn (TA-DFKD).
        """
        teacher = Look(
            self.teacher.logits[mask],
            [
                LayerStatistics(s.means[mask], s.variances[mask], s.stored_mean, s.stored_variance)
                for s in self.teacher.statistics
            ],
            None if self.teacher.features is None else self.teacher.features[mask],
        )

        def part(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[mask]

        return Synthesis(
            self.images, teacher, part(self.student_logits), part(self.labels), part(self.latents)
        )
