"""How student and teacher differ on an image, as AdaDFQ's generator is steered by it.

Qian et al., Adaptive Data-Free Quantization, CVPR 2023. d = teacher - student is the disagreement
of the logits, teacher + student their agreement.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from dfkd.synthesizers.synthesis import Synthesis


def difficulty_margin(synthesis: Synthesis, low: float = 0.1, high: float = 0.8) -> Tensor:
    """Mean of max(0, low - h) and of max(0, h - high): images neither useless nor too hard.

    h is the entropy of softmax(d), moved to [0, 1] by the batch's least entropy and log K.
    """
    teacher, student = _both(synthesis)
    logs = F.log_softmax(teacher - student, 1)
    entropy = -(logs.exp() * logs).sum(1)
    least = entropy.min()
    h = (entropy - least) / (math.log(teacher.shape[1]) - least).clamp_min(1e-12)
    return (low - h).clamp_min(0).mean() + (h - high).clamp_min(0).mean()


def disagreement_label(synthesis: Synthesis) -> Tensor:
    """Cross-entropy of the disagreement against the classes asked for."""
    assert synthesis.labels is not None
    teacher, student = _both(synthesis)
    return F.cross_entropy(teacher - student, synthesis.labels)


def agreement_label(synthesis: Synthesis) -> Tensor:
    """Cross-entropy of the agreement against the classes asked for."""
    assert synthesis.labels is not None
    teacher, student = _both(synthesis)
    return F.cross_entropy(teacher + student, synthesis.labels)


def _both(synthesis: Synthesis) -> tuple[Tensor, Tensor]:
    assert synthesis.student_logits is not None
    return synthesis.teacher.logits, synthesis.student_logits
