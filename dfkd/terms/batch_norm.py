"""Distance between the batch and what the teacher's batch norms remember of their training data."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.models.forward_pass import batch_norms
from dfkd.synthesizers.synthesis import Synthesis


def batch_norm(synthesis: Synthesis) -> Tensor:
    """Squared distance to the teacher's batch-norm statistics, in units of its own spread.

    Mean over layers and channels of ((m - mu) / sigma)^2 + (s / sigma - 1)^2, with m and s the
    batch's mean and deviation at the layer's input. DeepInversion's idea (Yin et al. 2020, eq. 4)
    with each channel divided by its stored deviation, so that no layer's scale decides.
    """
    distances = []
    for layer in synthesis.teacher.statistics:
        deviation = layer.stored_variance.clamp_min(1e-6).sqrt()
        shift = (layer.mean - layer.stored_mean) / deviation
        stretch = layer.variance.clamp_min(1e-12).sqrt() / deviation - 1
        distances.append((shift.square() + stretch.square()).mean())
    return torch.stack(distances).mean()


def batch_norm_l2(synthesis: Synthesis) -> Tensor:
    """Sum over layers of |v - var| + |m - mu|, plain L2 norms (DeepInversion, eq. 4)."""
    return torch.stack(
        [
            _distance(layer.mean, layer.variance, layer.stored_mean, layer.stored_variance)
            for layer in synthesis.teacher.statistics
        ]
    ).sum()


def batch_norm_kl(synthesis: Synthesis) -> Tensor:
    """Sum over layers and channels of the KL between diagonal Gaussians (DFQ-AKD, eq. 6).

    KL(N(m, v) || N(mu, var)) = ((m - mu)^2 + v) / (2 var) - log(sqrt(v) / sqrt(var)) - 1/2.
    """
    total = []
    for layer in synthesis.teacher.statistics:
        stored = layer.stored_variance.clamp_min(1e-6)
        variance = layer.variance.clamp_min(1e-12)
        shift = (layer.mean - layer.stored_mean).square()
        total.append(
            ((shift + variance) / (2 * stored) - (variance / stored).log() / 2 - 0.5).sum()
        )
    return torch.stack(total).sum()


def batch_norm_mse(synthesis: Synthesis) -> Tensor:
    """Mean over layers of the mean squared differences of means and variances (GDFQ, eq. 6)."""
    return torch.stack(
        [
            F.mse_loss(layer.mean, layer.stored_mean)
            + F.mse_loss(layer.variance, layer.stored_variance)
            for layer in synthesis.teacher.statistics
        ]
    ).mean()


def batch_norm_of_images(synthesis: Synthesis) -> Tensor:
    """Each image's own statistics against the stored ones, batch mean (ZeroQ, eq. 3).

    Sum over layers of |m - mu|^2 + |s - sigma|^2, s = sqrt(v + 1e-6), plus the same for the images
    themselves against mean 0 and deviation 1.
    """
    variances, means = torch.var_mean(synthesis.images, (2, 3), correction=0)
    total = _image_distance(means, variances, torch.zeros(()), torch.ones(()))
    for layer in synthesis.teacher.statistics:
        total = total + _image_distance(
            layer.means, layer.variances, layer.stored_mean, layer.stored_variance
        )
    return total


def _image_distance(
    means: Tensor, variances: Tensor, stored_mean: Tensor, stored_variance: Tensor
) -> Tensor:
    """Squared distance of means and deviations, summed over channels, batch mean."""
    deviation = (variances + 1e-6).sqrt() - stored_variance.to(means).sqrt()
    return ((means - stored_mean.to(means)).square() + deviation.square()).sum(1).mean()


def _distance(mean: Tensor, variance: Tensor, stored_mean: Tensor, stored_var: Tensor) -> Tensor:
    return (variance - stored_var).norm() + (mean - stored_mean).norm()


class BatchNormAverage:
    """`batch_norm_l2` on a running average over batches (Fast-Datafree, Fang et al. 2022).

    A small batch need not match the statistics alone: compared is (1 - a) of the present batch
    plus a of the average so far, bias-corrected, which is updated once a synthesised batch.

    Args:
        teacher: Its batch norms say on which device the averages are kept.
        momentum: The a.
    """

    def __init__(self, teacher: nn.Module, momentum: float = 0.9) -> None:
        self.momentum = momentum
        stored = batch_norms(teacher)[0].running_mean
        assert stored is not None
        self.device = stored.device
        self.count = 0
        self._sums: list[tuple[Tensor, Tensor]] = []
        self._present: list[tuple[Tensor, Tensor]] = []

    def __call__(self, synthesis: Synthesis) -> Tensor:
        """The distance of the present batch with the past ones."""
        layers = synthesis.teacher.statistics
        self._present = [(layer.mean.detach(), layer.variance.detach()) for layer in layers]
        distances = []
        for index, layer in enumerate(layers):
            mean, variance = layer.mean, layer.variance
            if self.count:
                past = self.averages()[index]
                mean = (1 - self.momentum) * mean + self.momentum * past[0]
                variance = (1 - self.momentum) * variance + self.momentum * past[1]
            distances.append(_distance(mean, variance, layer.stored_mean, layer.stored_variance))
        return torch.stack(distances).sum()

    def averages(self) -> list[tuple[Tensor, Tensor]]:
        """(mean, variance) of each layer over past batches, corrected for the start at zero."""
        correction = 1 - self.momentum**self.count
        return [(mean / correction, variance / correction) for mean, variance in self._sums]

    def settle(self) -> None:
        """Take the batch last seen into the average; called when it is done."""
        if not self._sums:
            self._sums = [(torch.zeros_like(m), torch.zeros_like(v)) for m, v in self._present]
        keep, take = self.momentum, 1 - self.momentum
        self._sums = [
            (keep * mean + take * now[0], keep * variance + take * now[1])
            for (mean, variance), now in zip(self._sums, self._present, strict=True)
        ]
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        """The averages, for a checkpoint."""
        return {"count": self.count, "sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.count = state["count"]
        self._sums = [(m.to(self.device), v.to(self.device)) for m, v in state["sums"]]
