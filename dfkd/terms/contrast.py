"""CMI's contrastive term: each image must differ from earlier ones (Fang et al. 2021, eq. 5)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.models.forward_pass import LayerStatistics, batch_norms
from dfkd.optimizers import set_rates
from dfkd.terms.stateful import StatefulTerm


class Contrast(StatefulTerm):
    """InfoNCE loss between two views of an image, with other images as negatives.

    The negatives come from the batch and from a bank of earlier images. A view's descriptor holds
    the channel means at the inputs of the teacher's batch norms. A learned head of two layers maps
    it to a vector, which is scaled to unit length. The local view gives the query. The global view
    gives the key, which has no gradient. The losses of batch and bank are averaged separately, so
    that a large bank does not outweigh the batch. The loss of the bank trains the head only.

    Args:
        teacher: The teacher, whose batch norms determine the descriptor's size and the device.
        temperature: Divides the cosine similarities.
        negatives: Number of pairs drawn from the bank for a batch.
        capacity: Largest number of pairs of descriptors in the bank.
        width: Size of the head's output.
        lr: Adam's learning rate for the head.
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

    def __call__(self, statistics: list[LayerStatistics]) -> Tensor:  # type: ignore[override]
        """Return the loss of a batch.

        Args:
            statistics: Statistics of a batch. Its first half has the global views, its second half
                the local views of the same images.
        """
        pairs = _descriptors(statistics)
        self._present = pairs.detach()
        earlier = pairs.new_zeros(0, *pairs.shape[1:])
        if self._bank is not None:
            drawn = torch.randperm(len(self._bank))[: self.negatives].to(pairs.device)
            earlier = self._bank[drawn]
        of_batch, of_bank = self._rows(pairs, earlier)
        return of_batch + of_bank

    def _rows(self, pairs: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss of the batch and of the bank, from (N, 2, descriptor) each."""
        both = torch.cat([pairs, earlier])
        keys = F.normalize(self.head(both[:, 0]), dim=1).detach()
        queries = F.normalize(self.head(both[:, 1]), dim=1)
        logits = queries @ keys.T / self.temperature
        own = torch.arange(len(both), device=both.device)
        rows = F.cross_entropy(logits, own, reduction="none")
        batch, bank = rows[: len(pairs)], rows[len(pairs) :]
        return batch.mean(), bank.mean() if len(bank) else rows.new_zeros(())

    def parameters(self) -> list[nn.Parameter]:
        """Return the head's parameters."""
        return list(self.head.parameters())

    def step(self, factor: float = 1.0) -> None:
        """Take an optimizer step for the head, at `factor` times its learning rate."""
        set_rates(self.optimizer, factor)
        self.optimizer.step()

    def end_batch(self) -> None:
        """Add the last batch to the bank."""
        assert self._present is not None
        joined = self._present if self._bank is None else torch.cat([self._bank, self._present])
        self._bank = joined[-self.capacity :]

    def state_dict(self) -> dict[str, Any]:
        """Return head, optimizer and bank for a checkpoint."""
        return {
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "bank": self._bank,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore head, optimizer and bank."""
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        bank = state["bank"]
        device = self.parameters()[0].device
        self._bank = None if bank is None else bank.to(device)


def _descriptors(statistics: list[LayerStatistics]) -> Tensor:
    """Return (N, 2, descriptor) from a pass of N global views followed by N local views."""
    rows = torch.cat([layer.means for layer in statistics], 1)
    half = len(rows) // 2
    return torch.stack([rows[:half], rows[half:]], 1)
