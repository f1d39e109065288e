"""Compare synthetic images with real ones in a teacher's feature space (not the Inception FID)."""

import torch
from torch import Tensor, nn

from dfkd.models.forward_pass import forward_with_features


@torch.no_grad()
def features(teacher: nn.Module, images: Tensor) -> Tensor:
    """Return the inputs of the teacher's last linear layer, (N, F) in double precision."""
    parts = []
    for part in images.split(500):
        seen = forward_with_features(teacher, part, ("features",)).features
        assert seen is not None
        parts.append(seen.double())
    return torch.cat(parts)


def frechet_distance(teacher: nn.Module, synthetic: Tensor, real: Tensor) -> float:
    """Return the Frechet distance between Gaussians fitted to the teacher's features.

    The distance is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), with means m and covariances C. It
    is that of the FID (Heusel et al. 2017), but in the feature space of this teacher. Values are
    comparable only between runs with the same teacher.

    Args:
        teacher: The teacher, in eval mode.
        synthetic: (N, C, H, W).
        real: (M, C, H, W).
    """
    ours, theirs = features(teacher, synthetic), features(teacher, real)
    shift = (ours.mean(0) - theirs.mean(0)).square().sum()
    first, second = ours.T.cov(), theirs.T.cov()
    # The trace of (C1 C2)^(1/2) is the sum of the square roots of the eigenvalues of C1 C2.
    roots = torch.linalg.eigvals(first @ second).real.clamp_min(0).sqrt().sum()
    return (shift + first.trace() + second.trace() - 2 * roots).item()


def diversity(teacher: nn.Module, synthetic: Tensor) -> float:
    """Return the root mean square distance between the features of two images.

    Args:
        teacher: The teacher, in eval mode.
        synthetic: (N, C, H, W).
    """
    return (2 * features(teacher, synthetic).var(0).sum()).sqrt().item()
