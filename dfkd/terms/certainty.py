"""Terms on the teacher's outputs: certainty, labels, class balance and activation."""

import math

import torch.nn.functional as F
from torch import Tensor

from dfkd.errors import RecipeError


def certainty(teacher_logits: Tensor) -> Tensor:
    """Return the cross-entropy of the teacher against its own argmax (DAFL, Chen et al. 2019).

    Args:
        teacher_logits: (N, K).

    Examples:
        >>> import torch
        >>> round(certainty(torch.tensor([[0.0, 0.0]])).item(), 4)
        0.6931
    """
    return F.cross_entropy(teacher_logits, teacher_logits.argmax(1))


def label_certainty(teacher_logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the teacher against the labels (DeepInversion, eq. 1).

    Args:
        teacher_logits: (N, K).
        labels: (N,), classes.
    """
    return F.cross_entropy(teacher_logits, labels)


def soft_label(teacher_logits: Tensor, soft_labels: Tensor, temperature: float = 20.0) -> Tensor:
    """Return the cross-entropy of the teacher's softened predictions against soft labels (ZSKD).

    Args:
        teacher_logits: (N, K).
        soft_labels: (N, K), rows sum to 1.
        temperature: Divides the logits.
    """
    return F.cross_entropy(teacher_logits / temperature, soft_labels)


def entropy(teacher_logits: Tensor) -> Tensor:
    """Return the mean entropy of the teacher's predictions (DFQ-AKD, Choi et al. 2020).

    Args:
        teacher_logits: (N, K).
    """
    logs = F.log_softmax(teacher_logits, 1)
    return -(logs.exp() * logs).sum(1).mean()


def class_balance(teacher_logits: Tensor, base: float = math.e) -> Tensor:
    """Return the negative entropy of the batch-mean prediction (DAFL, eq. 5).

    The value is -log K if the predictions cover all K classes equally, and 0 if all of them are the
    same class.

    Args:
        teacher_logits: (N, K).
        base: Base of the logarithm. A published weight is valid for the base of its code only; in
            DAFL's code the base is 10.
    """
    mean = teacher_logits.softmax(1).mean(0)
    return (mean * mean.clamp_min(1e-12).log()).sum() / math.log(base)


def activation(features: Tensor) -> Tensor:
    """Return the negative mean of the inputs of the teacher's last linear layer (DAFL, eq. 4).

    Args:
        features: (N, F), not negative.

    Raises:
        RecipeError: If a feature is negative, because the mean of signed features does not measure
            how strongly the teacher responds.
    """
    if features.min() < 0:
        raise RecipeError(
            "term activation needs features after a ReLU: the inputs of this teacher's last "
            "linear layer are signed; use a recipe without this term"
        )
    return -features.mean()
