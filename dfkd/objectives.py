"""What the student minimises: a function of its logits and the teacher's, both (N, K)."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


def logit_l1(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean absolute difference of logits (DFAD, Fang et al. 2019): never saturates."""
    return F.l1_loss(student, teacher)


def soft_kl(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """T^2 KL(teacher || student) of softened answers, batch mean (Hinton et al. 2015)."""
    return temperature**2 * F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )


OBJECTIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "logit-l1": logit_l1,
    "soft-kl": soft_kl,
}
