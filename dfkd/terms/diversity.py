"""Diversity: different images, in the eyes of the teacher or on the pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.synthesizers.synthesis import Synthesis

FLOOR = 1e-6
"""Added to norms that stand in a denominator or under a gradient."""


def inter_sample(synthesis: Synthesis) -> Tensor:
    """|p2 - p1| / |x2 - x1| over the two halves of a batch (RDSKD, Han et al. 2021).

    Frobenius norms over a whole half; different answers must come from different images. An odd
    batch leaves its last image out.
    """
    answers = synthesis.teacher.logits.softmax(1)
    half = len(answers) // 2
    apart = (answers[half : 2 * half] - answers[:half]).square().sum().add(FLOOR**2).sqrt()
    images = (synthesis.images[half : 2 * half] - synthesis.images[:half]).norm()
    return apart / (images + FLOOR)


def metric(synthesis: Synthesis, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss on the teacher's features (Khosla et al. 2020, eq. 2).

    Images asked for in the same class attract each other, others repel; an image without a
    companion of its class is left out. Zero when no image has one.
    """
    features, labels = synthesis.teacher.features, synthesis.labels
    assert features is not None and labels is not None
    directions = F.normalize(features, dim=1)
    alike = directions @ directions.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logs = F.log_softmax(alike.masked_fill(itself, float("-inf")), 1).masked_fill(itself, 0.0)
    companions = (labels[:, None] == labels) & ~itself
    count = companions.sum(1)
    if not count.any():
        return 0.0 * features.sum()
    return -((logs * companions).sum(1)[count > 0] / count[count > 0]).mean()


def mode_seeking(synthesis: Synthesis) -> Tensor:
    """Negative mean of |f1 - f2| / |z1 - z2| over pairs of one class (Mao et al. 2019, eq. 3).

    f is the teacher's feature scaled to unit length, z the latent. Zero without a pair.
    """
    features, labels, latents = synthesis.teacher.features, synthesis.labels, synthesis.latents
    assert features is not None and labels is not None and latents is not None
    order = labels.argsort(stable=True)
    first, second = order[:-1], order[1:]
    pairs = labels[first] == labels[second]
    if not pairs.any():
        return 0.0 * features.sum()
    first, second = first[pairs], second[pairs]
    directions = F.normalize(features, dim=1)
    apart = (directions[first] - directions[second]).square().sum(1).add(FLOOR**2).sqrt()
    return -(apart / ((latents[first] - latents[second]).norm(dim=1) + FLOOR)).mean()
