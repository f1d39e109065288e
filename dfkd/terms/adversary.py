"""Where teacher and student differ: what drives the generator to images the student gets wrong."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from dfkd.synthesizers.synthesis import Synthesis


def _both(synthesis: Synthesis) -> tuple[Tensor, Tensor]:
    assert synthesis.student_logits is not None
    return synthesis.teacher.logits, synthesis.student_logits


def _divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher || student) of each image, (N,)."""
    return F.kl_div(
        F.log_softmax(student, 1), F.log_softmax(teacher, 1), reduction="none", log_target=True
    ).sum(1)


def adversary(synthesis: Synthesis) -> Tensor:
    """Negative KL(teacher || student), batch mean (ZSKT, Micaelli and Storkey 2019)."""
    return -_divergence(*_both(synthesis)).mean()


def adversary_l1(synthesis: Synthesis) -> Tensor:
    """Negative mean absolute difference of logits (DFAD, Fang et al. 2019)."""
    return -F.l1_loss(*_both(synthesis))


def adversary_while_agreed(synthesis: Synthesis) -> Tensor:
    """Negative KL where student and teacher still agree, batch mean (CMI, Fang et al. 2021)."""
    teacher, student = _both(synthesis)
    agreed = (teacher.argmax(1) == student.argmax(1)).to(teacher.dtype)
    return -(agreed * _divergence(teacher, student)).mean()


def adversary_js(
    synthesis: Synthesis,
    temperature: float = 3.0,
    reduction: Literal["mean", "batchmean"] = "mean",
    clamp: float = 0.01,
) -> Tensor:
    """One minus a Jensen-Shannon-like divergence (ADI, Yin et al. 2020, eq. 7).

    1 - clip(KL(M || P) / 2 + KL(M || Q) / 2, 0, 1) with P, Q the softened answers of student and
    teacher and M their mean. The order inside KL is that of the published code, not of the paper.

    Args:
        synthesis: The batch.
        temperature: Softens both answers.
        reduction: "mean" over all N K elements, as in the code of PRE-DFKD, LRA and TA-DFKD, is K
            times weaker than ADI's "batchmean".
        clamp: Probabilities stay in [clamp, 1 - clamp]; 0 does not clamp. Where it does, the
            gradient is zero.
    """
    teacher, student = _both(synthesis)
    # The floor keeps the logarithms finite when nothing is clamped.
    low = max(clamp, 1e-12)
    first = (student / temperature).softmax(1)
    second = (teacher / temperature).softmax(1)
    middle = ((first + second) / 2).clamp(low, 1 - clamp)
    both = [middle * (middle / p.clamp(low, 1 - clamp)).log() for p in (first, second)]
    surprise = (both[0] + both[1]) / 2
    divided = surprise.mean() if reduction == "mean" else surprise.sum() / len(teacher)
    return 1 - divided.clamp(0, 1)
