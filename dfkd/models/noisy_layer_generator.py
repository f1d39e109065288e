"""NAYER's generator, which draws images from label embeddings (Tran et al. 2024)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dfkd.composition import GeneratorNetwork
from dfkd.images import ImageSpec
from dfkd.models.generators import Generator


class NoisyLayerGenerator(nn.Module):
    """A generator with frozen label embeddings as input and random weights in the first layer.

    The first layer, the noisy layer, replaces a random latent vector. Each group of images in a
    batch has its own noisy layer. `redraw` initializes the noisy layers for the next batch.

    Args:
        network: Layout and size; `latent` is the number of outputs of the noisy layer.
        spec: Specification of the images to draw.
        embeddings: Label embeddings (K, E), one row for each class: random rows, which need no
            other data, or embeddings of the class names.
        groups: Number of noisy layers for one batch.
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
        """Draw standard normal weights and biases of the noisy layers.

        The draws use torch's global random state.
        """
        for layer in self.noisy:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)

    def forward(self, labels: Tensor) -> Tensor:
        """Return normalized images (N, C, H, W) for labels (N,)."""
        scaled = self.scale(self.embeddings[labels])
        parts: Sequence[Tensor] = scaled.chunk(len(self.noisy))
        hidden = [layer(part) for layer, part in zip(self.noisy, parts, strict=False)]
        return self.trunk(torch.cat(hidden))
