"""Terms of the generator's loss: each a small function of one teacher and one student pass.

All are to be minimised by the generator, in nats, averaged over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from dfkd.statistics import LayerStatistics

Need = Literal["student", "labels", "batch norm"]


@dataclass(frozen=True)
class Synthesis:
    """One batch drawn by the generator, and what the networks make of it.

    Attributes:
        images: (N, C, H, W), normalised.
        teacher_logits: (N, K).
        statistics: Of the inputs of the teacher's batch norms, in the order of execution.
        student_logits: (N, K); None while the generator learns from the teacher alone.
        labels: (N,) classes asked for; None for an unconditional generator.
    """

    images: Tensor
    teacher_logits: Tensor
    statistics: list[LayerStatistics]
    student_logits: Tensor | None = None
    labels: Tensor | None = None


def certainty(synthesis: Synthesis) -> Tensor:
    """Cross-entropy of the teacher against its own argmax (DAFL, Chen et al. 2019, eq. 2)."""
    logits = synthesis.teacher_logits
    return F.cross_entropy(logits, logits.argmax(1))


def label_certainty(synthesis: Synthesis) -> Tensor:
    """Cross-entropy of the teacher against the classes asked for (DeepInversion, eq. 1)."""
    assert synthesis.labels is not None
    return F.cross_entropy(synthesis.teacher_logits, synthesis.labels)


def class_balance(synthesis: Synthesis) -> Tensor:
    """Negative entropy of the batch-mean prediction (DAFL, eq. 5), natural logarithm.

    -log K where the batch covers all K classes alike, 0 where it shows one class only.
    """
    mean = synthesis.teacher_logits.softmax(1).mean(0)
    return (mean * mean.clamp_min(1e-12).log()).sum()


def batch_norm(synthesis: Synthesis) -> Tensor:
    """Squared distance to the teacher's batch-norm statistics, in units of its own spread.

    Mean over layers and channels of ((m - mu) / sigma)^2 + (s / sigma - 1)^2, with m and s the
    batch's mean and deviation at the layer's input. DeepInversion's idea (Yin et al. 2020, eq. 4)
    with each channel divided by its stored deviation, so that no layer's scale decides.
    """
    distances = []
    for layer in synthesis.statistics:
        deviation = layer.stored_variance.clamp_min(1e-6).sqrt()
        shift = (layer.mean - layer.stored_mean) / deviation
        stretch = layer.variance.clamp_min(1e-12).sqrt() / deviation - 1
        distances.append((shift.square() + stretch.square()).mean())
    return sum(distances[1:], start=distances[0]) / len(distances)


def adversary(synthesis: Synthesis) -> Tensor:
    """Negative KL(teacher || student), batch mean (ZSKT, Micaelli and Storkey 2019)."""
    assert synthesis.student_logits is not None
    return -F.kl_div(
        F.log_softmax(synthesis.student_logits, 1),
        F.log_softmax(synthesis.teacher_logits, 1),
        reduction="batchmean",
        log_target=True,
    )


@dataclass(frozen=True)
class TermDefinition:
    """A term and what it cannot be computed without."""

    compute: Callable[[Synthesis], Tensor]
    needs: frozenset[Need] = frozenset()


TERMS: dict[str, TermDefinition] = {
    "certainty": TermDefinition(certainty),
    "label-certainty": TermDefinition(label_certainty, frozenset({"labels"})),
    "class-balance": TermDefinition(class_balance),
    "batch-norm": TermDefinition(batch_norm, frozenset({"batch norm"})),
    "adversary": TermDefinition(adversary, frozenset({"student"})),
}
