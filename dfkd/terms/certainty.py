"""What the teacher answers: how sure it is, of what, and how evenly over the classes."""

import math

import torch.nn.functional as F
from torch import Tensor

from dfkd.errors import RecipeError
from dfkd.synthesizers.synthesis import Synthesis


def certainty(synthesis: Synthesis) -> Tensor:
    """Cross-entropy of the teacher against its own argmax (DAFL, Chen et al. 2019, eq. 2)."""
    logits = synthesis.teacher.logits
    return F.cross_entropy(logits, logits.argmax(1))


def label_certainty(synthesis: Synthesis) -> Tensor:
    """Cross-entropy of the teacher against the classes asked for (DeepInversion, eq. 1)."""
    assert synthesis.labels is not None
    return F.cross_entropy(synthesis.teacher.logits, synthesis.labels)


def soft_label(synthesis: Synthesis, temperature: float = 20.0) -> Tensor:
    """Cross-entropy of the softened teacher against soft labels (ZSKD, Nayak et al. 2019)."""
    assert synthesis.labels is not None
    return F.cross_entropy(synthesis.teacher.logits / temperature, synthesis.labels)


def entropy(synthesis: Synthesis) -> Tensor:
    """Mean entropy of the teacher's answers (DFQ-AKD, Choi et al. 2020): a softer certainty."""
    logs = F.log_softmax(synthesis.teacher.logits, 1)
    return -(logs.exp() * logs).sum(1).mean()


def class_balance(synthesis: Synthesis, base: float = math.e) -> Tensor:
    """Negative entropy of the batch-mean prediction (DAFL, eq. 5).

    -log K where the batch covers all K classes alike, 0 where it shows one class only.

    Args:
        synthesis: The batch.
        base: Of the logarithm; a published weight goes with its base (10 in DAFL's code).
    """
    mean = synthesis.teacher.logits.softmax(1).mean(0)
    return (mean * mean.clamp_min(1e-12).log()).sum() / math.log(base)


def activation(synthesis: Synthesis) -> Tensor:
    """Negative mean of the teacher's penultimate features (DAFL, eq. 4).

    Raises:
        RecipeError: For features below zero: large is then no sign of a familiar image.
    """
    features = synthesis.teacher.features
    assert features is not None
    if features.min() < 0:
        raise RecipeError(
            "term activation takes features after a ReLU; this teacher's last linear layer "
            "is fed with signed ones"
        )
    return -features.mean()
