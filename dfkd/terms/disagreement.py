"""AdaDFQ's terms on the difference and the sum of the logits of teacher and student.

Qian et al., Adaptive Data-Free Quantization, CVPR 2023. The difference teacher - student is called
disagreement; the sum teacher + student is called agreement.
"""

import math

import torch.nn.functional as F
from torch import Tensor


def difficulty_margin(
    teacher_logits: Tensor, student_logits: Tensor, low: float = 0.1, high: float = 0.8
) -> Tensor:
    """Return the mean of max(0, low - h) plus the mean of max(0, h - high).

    h is the entropy of the softmax of the disagreement. It is scaled so that the smallest entropy
    in the batch becomes 0 and log K becomes 1. The term penalizes images that are too easy or too
    hard for the student.

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).
        low: Smallest h without a penalty.
        high: Largest h without a penalty.
    """
    logs = F.log_softmax(teacher_logits - student_logits, 1)
    entropy = -(logs.exp() * logs).sum(1)
    least = entropy.min()
    h = (entropy - least) / (math.log(teacher_logits.shape[1]) - least).clamp_min(1e-12)
    return (low - h).clamp_min(0).mean() + (h - high).clamp_min(0).mean()


def disagreement_label(teacher_logits: Tensor, student_logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the disagreement against the labels.

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).
        labels: (N,), classes.
    """
    return F.cross_entropy(teacher_logits - student_logits, labels)


def agreement_label(teacher_logits: Tensor, student_logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the agreement against the labels.

    Args:
        teacher_logits: (N, K).
        student_logits: (N, K).
        labels: (N,), classes.
    """
    return F.cross_entropy(teacher_logits + student_logits, labels)
