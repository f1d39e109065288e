"""NAYER's generator of label embeddings (Tran et al. 2024)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dfkd.composition import GeneratorNetwork
from dfkd.images import ImageSpec
from dfkd.models.generators import Generator


class NoisyLayerGenerator(nn.Module):
    """Frozen label embeddings through a linear layer that is initialized for every batch.

    The randomness is in that layer, not in a latent vector: `redraw` gives each group of images its
    own noisy layer.

    Args:
        network: Layout and size; `latent` is the width behind the noisy layer.
        spec: The images to draw.
        embeddings: (K, E), one row for each class. Random rows need no outside data; embeddings of
            the class names are possible too.
        groups: Noisy layers for one batch.
    """

    def __init__(
        self, network: GeneratorNetwork, spec: ImageSpec, embeddings: Tensor, groups: int
    ) -> None:
        super().__init__()
        self.register_buffer("embeddings", embeddings)
        self.embeddings: Tensor
        self.scale = nn.BatchNorm1d(embeddings.shape[1])
        self.noisy = nn.ModuleList(
            nn.Linear(embeddings.shape[1], network.latent) for _ in range(groups)
        )
        self.trunk = Generator(network, spec, len(embeddings))
        self.redraw()

    def redraw(self) -> None:
        """Initialize the noisy layers, standard normal, from torch's global random state."""
        for layer in self.noisy:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)

    def forward(self, labels: Tensor) -> Tensor:
        """Return an image (N, C, H, W) for each label (N,), normalized."""
        scaled = self.scale(self.embeddings[labels])
        parts: Sequence[Tensor] = scaled.chunk(len(self.noisy))
        hidden = [layer(part) for layer, part in zip(self.noisy, parts, strict=False)]
        return self.trunk(torch.cat(hidden))
