"""Adversarial terms, which are low for images on which teacher and student differ."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def _divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """Return KL(teacher || student) of each image, (N,)."""
    return F.kl_div(
        F.log_softmax(student, 1), F.log_softmax(teacher, 1), reduction="none", log_target=True
    ).sum(1)


def adversary(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Return the negative batch mean of KL(teacher || student) (ZSKT, Micaelli and Storkey 2019).

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
    """Return the negative KL of images with the same predicted class (CMI, Fang et al. 2021).

    Images for which teacher and student predict different classes count as 0 in the batch mean.

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

    The value is 1 - clip(KL(M || P) / 2 + KL(M || Q) / 2, 0, 1). P and Q are the softened
    predictions of student and teacher, and M is their mean. The order of the arguments of KL is
    that of the published code, not of the paper.

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).
        temperature: Divides the logits of teacher and student.
        reduction: "mean" averages over all N K elements, as in the code of PRE-DFKD, LRA and
            TA-DFKD. "batchmean" averages over the images, as in ADI, and is K times larger.
        clamp: Probabilities are clamped to [clamp, 1 - clamp]; the gradient of a clamped one is
            zero. With 0, only the lower bound 1e-12 remains.
    """
    # With clamp 0, this lower bound keeps the logarithms finite.
    low = max(clamp, 1e-12)
    first = (student_logits / temperature).softmax(1)
    second = (teacher_logits / temperature).softmax(1)
    middle = ((first + second) / 2).clamp(low, 1 - clamp)
    both = [middle * (middle / p.clamp(low, 1 - clamp)).log() for p in (first, second)]
    divergence = (both[0] + both[1]) / 2
    mean = divergence.mean() if reduction == "mean" else divergence.sum() / len(teacher_logits)
    return 1 - mean.clamp(0, 1)
