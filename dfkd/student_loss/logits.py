"""Objectives on the logits of student and teacher."""

import torch.nn.functional as F
from torch import Tensor


def logit_l1(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return the mean absolute difference of logits (DFAD, Fang et al. 2019).

    Args:
        student_logits: (N, K).
        teacher_logits: (N, K).

    Examples:
        >>> import torch
        >>> logit_l1(torch.zeros(2, 3), torch.ones(2, 3)).item()
        1.0
    """
    return F.l1_loss(student_logits, teacher_logits)


def soft_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 4.0) -> Tensor:
    """Return T^2 KL(teacher || student) of softened predictions, batch mean (Hinton et al. 2015).

    Args:
        student_logits: (N, K).
        teacher_logits: (N, K).
        temperature: The T, divides the logits.
    """
    return temperature**2 * F.kl_div(
        F.log_softmax(student_logits / temperature, 1),
        F.log_softmax(teacher_logits / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )


def difference_entropy(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 4.0
) -> Tensor:
    """Return -T^2 times the mean entropy of softmax((teacher - student) / T) (AdaDFQ).

    Its minimum, -T^2 log K, is where the logits differ by a constant (Qian et al. 2023).

    Args:
        student_logits: (N, K).
        teacher_logits: (N, K).
        temperature: The T, divides the difference.
    """
    logs = F.log_softmax((teacher_logits - student_logits) / temperature, 1)
    return temperature**2 * (logs.exp() * logs).sum(1).mean()
