"""Contrast: each image must be told apart from all earlier ones (CMI, Fang et al. 2021, eq. 5)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.models.forward_pass import LayerStatistics, batch_norms
from dfkd.synthesizers.synthesis import Synthesis
from dfkd.training.optimizers import set_rates


class Contrast:
    """InfoNCE between two views of an image, against the batch and a bank of earlier images.

    A view is described by the channel means at the inputs of the teacher's batch norms, passed
    through a learnt head of two layers and scaled to unit length. The query is the local view, the
    key the global one, without gradient. Rows of the batch and rows of the bank are averaged apart,
    so that a large bank does not drown the batch; the bank's rows teach the head alone.

    Args:
        teacher: Its batch norms give the descriptor's size and its device.
        temperature: Divides the cosines.
        negatives: How many of the bank are drawn for a batch.
        capacity: Pairs of descriptors the bank holds.
        width: Of the head's output.
        lr: Of the head's Adam.
    """

    def __init__(
        self,
        teacher: nn.Module,
        temperature: float = 0.2,
        negatives: int = 4096,
        capacity: int = 40_960,
        width: int = 256,
        lr: float = 1e-3,
    ) -> None:
        self.temperature, self.negatives, self.capacity = temperature, negatives, capacity
        layers = batch_norms(teacher)
        size = sum(layer.num_features for layer in layers)
        self.head = nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width))
        stored = layers[0].running_mean
        assert stored is not None
        self.head.to(stored.device)
        self.optimizer = torch.optim.Adam(self.head.parameters(), lr)
        self._bank: Tensor | None = None
        self._present: Tensor | None = None

    def __call__(self, synthesis: Synthesis) -> Tensor:
        """The loss of a batch whose first half are global, whose second half local views."""
        pairs = _descriptors(synthesis.teacher.statistics)
        self._present = pairs.detach()
        earlier = pairs.new_zeros(0, *pairs.shape[1:])
        if self._bank is not None:
            drawn = torch.randperm(len(self._bank))[: self.negatives].to(pairs.device)
            earlier = self._bank[drawn]
        ours, theirs = self._rows(pairs, earlier)
        return ours + theirs

    def _rows(self, pairs: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss over the batch's rows and over the bank's; pairs are (N, 2, descriptor)."""
        both = torch.cat([pairs, earlier])
        keys = F.normalize(self.head(both[:, 0]), dim=1).detach()
        queries = F.normalize(self.head(both[:, 1]), dim=1)
        logits = queries @ keys.T / self.temperature
        own = torch.arange(len(both), device=both.device)
        rows = F.cross_entropy(logits, own, reduction="none")
        batch, bank = rows[: len(pairs)], rows[len(pairs) :]
        return batch.mean(), bank.mean() if len(bank) else rows.new_zeros(())

    def parameters(self) -> list[nn.Parameter]:
        """What learns beside the generator."""
        return list(self.head.parameters())

    def step(self, factor: float = 1.0) -> None:
        """One step of the head, along the generator's gradient, at `factor` times its rate."""
        set_rates(self.optimizer, factor)
        self.optimizer.step()

    def settle(self) -> None:
        """Take the batch last seen into the bank; called when it is done."""
        assert self._present is not None
        joined = self._present if self._bank is None else torch.cat([self._bank, self._present])
        self._bank = joined[-self.capacity :]

    def state_dict(self) -> dict[str, Any]:
        """Head, its optimiser and the bank, for a checkpoint."""
        return {
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "bank": self._bank,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        bank = state["bank"]
        device = self.parameters()[0].device
        self._bank = None if bank is None else bank.to(device)


def _descriptors(statistics: list[LayerStatistics]) -> Tensor:
    """(N, 2, descriptor) from the passes of N global and then N local views."""
    rows = torch.cat([layer.means for layer in statistics], 1)
    half = len(rows) // 2
    return torch.stack([rows[:half], rows[half:]], 1)
