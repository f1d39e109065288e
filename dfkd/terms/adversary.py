"""Adversarial terms: they drive the generator to images on which the student is wrong."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def _divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher || student) of each image, (N,)."""
    return F.kl_div(
        F.log_softmax(student, 1), F.log_softmax(teacher, 1), reduction="none", log_target=True
    ).sum(1)


def adversary(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Return the negative KL(teacher || student), batch mean (ZSKT, Micaelli and Storkey 2019).

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).

    Examples:
        >>> import torch
        >>> adversary(torch.zeros(2, 3), torch.zeros(2, 3)).item()
        -0.0
    """
    return -_divergence(teacher_logits, student_logits).mean()


def adversary_l1(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Return the negative mean absolute difference of logits (DFAD, Fang et al. 2019).

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).
    """
    return -F.l1_loss(teacher_logits, student_logits)


def adversary_while_agreed(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Return the negative KL on the images where both predict one class (CMI, Fang et al. 2021).

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).
    """
    same = teacher_logits.argmax(1) == student_logits.argmax(1)
    agreed = same.to(teacher_logits.dtype)
    return -(agreed * _divergence(teacher_logits, student_logits)).mean()


def adversary_js(
    teacher_logits: Tensor,
    student_logits: Tensor,
    temperature: float = 3.0,
    reduction: Literal["mean", "batchmean"] = "mean",
    clamp: float = 0.01,
) -> Tensor:
    """Return one minus a Jensen-Shannon-like divergence (ADI, Yin et al. 2020, eq. 7).

    1 - clip(KL(M || P) / 2 + KL(M || Q) / 2, 0, 1) with P, Q the softened predictions of student
    and teacher and M their mean. The order inside KL is that of the published code, not the paper.

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).
        temperature: Divides the logits of both.
        reduction: "mean" over all N K elements, as in the code of PRE-DFKD, LRA and TA-DFKD, is K
            times weaker than ADI's "batchmean".
        clamp: Probabilities are clamped to [clamp, 1 - clamp], with zero gradient outside; 0 does
            not clamp.
    """
    # The lower bound keeps the logarithms finite when nothing is clamped.
    low = max(clamp, 1e-12)
    first = (student_logits / temperature).softmax(1)
    second = (teacher_logits / temperature).softmax(1)
    middle = ((first + second) / 2).clamp(low, 1 - clamp)
    both = [middle * (middle / p.clamp(low, 1 - clamp)).log() for p in (first, second)]
    divergence = (both[0] + both[1]) / 2
    mean = divergence.mean() if reduction == "mean" else divergence.sum() / len(teacher_logits)
    return 1 - mean.clamp(0, 1)
