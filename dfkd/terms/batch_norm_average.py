"""The batch-norm distance with a running average over synthesized batches (Fast-Datafree)."""

from typing import Any

import torch
from torch import Tensor, nn

from dfkd.models.forward_pass import LayerStatistics, batch_norms
from dfkd.terms.batch_norm import l2_distance
from dfkd.terms.stateful import StatefulTerm


class BatchNormAverage(StatefulTerm):
    """`batch_norm_l2` on a running average over batches (Fast-Datafree, Fang et al. 2022).

    A small batch need not match the stored statistics by itself. The term compares them with
    (1 - a) times the statistics of the present batch plus a times the bias-corrected average of
    the earlier batches.

    Args:
        teacher: A network with batch norms; the averages are kept on their device.
        momentum: The factor a of the earlier batches.
    """

    def __init__(self, teacher: nn.Module, momentum: float = 0.9) -> None:
        self.momentum = momentum
        stored = batch_norms(teacher)[0].running_mean
        assert stored is not None
        self.device = stored.device
        self.count = 0
        self._sums: list[tuple[Tensor, Tensor]] = []
        self._present: list[tuple[Tensor, Tensor]] = []

    def __call__(self, statistics: list[LayerStatistics]) -> Tensor:  # type: ignore[override]
        """Return the distance; its statistics include the earlier batches.

        Args:
            statistics: Statistics of the inputs of each batch norm.
        """
        self._present = [(layer.mean.detach(), layer.variance.detach()) for layer in statistics]
        distances = []
        for index, layer in enumerate(statistics):
            mean, variance = layer.mean, layer.variance
            if self.count:
                past = self.averages()[index]
                mean = (1 - self.momentum) * mean + self.momentum * past[0]
                variance = (1 - self.momentum) * variance + self.momentum * past[1]
            distances.append(l2_distance(mean, variance, layer.stored_mean, layer.stored_variance))
        return torch.stack(distances).sum()

    def averages(self) -> list[tuple[Tensor, Tensor]]:
        """Return the bias-corrected (mean, variance) of each layer over the earlier batches."""
        correction = 1 - self.momentum**self.count
        return [(mean / correction, variance / correction) for mean, variance in self._sums]

    def end_batch(self) -> None:
        """Add the last batch to the average."""
        if not self._sums:
            self._sums = [(torch.zeros_like(m), torch.zeros_like(v)) for m, v in self._present]
        old, new = self.momentum, 1 - self.momentum
        self._sums = [
            (old * mean + new * present[0], old * variance + new * present[1])
            for (mean, variance), present in zip(self._sums, self._present, strict=True)
        ]
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the averages for a checkpoint."""
        return {"count": self.count, "sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the averages."""
        self.count = state["count"]
        self._sums = [(m.to(self.device), v.to(self.device)) for m, v in state["sums"]]
