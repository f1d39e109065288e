"""The variational autoencoder of PRE-DFKD, which models all earlier images in constant memory."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.composition import GeneratorNetwork
from dfkd.images import ImageSpec
from dfkd.models.generator_layers import initialize_small
from dfkd.models.generators import Generator

WIDTH = 64
"""Largest number of channels of the encoder's first convolution."""


class Vae(nn.Module):
    """An encoder of strided convolutions, and a decoder with the layout of DAFL's generator.

    Args:
        spec: Specification of the images.
        latent: Size of the latent vector.
        width: Channels of the decoder's hidden layers.
        trunk: The decoder's trunk, a key of `dfkd.models.generator_layers.TRUNKS`.
    """

    def __init__(
        self, spec: ImageSpec, latent: int, width: int = 128, trunk: str = "upsample"
    ) -> None:
        super().__init__()
        channels = spec.shape[0]
        first = max(4, min(WIDTH, width // 2))
        self.latent = latent
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, first, 3, stride=2, padding=1),
            nn.BatchNorm2d(first),
            nn.LeakyReLU(0.2),
            nn.Conv2d(first, 2 * first, 3, stride=2, padding=1),
            nn.BatchNorm2d(2 * first),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(8),
            nn.Conv2d(2 * first, 32, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.mean = nn.Linear(32 * 8 * 8, latent)
        self.log_variance = nn.Linear(32 * 8 * 8, latent)
        layout = GeneratorNetwork(trunk, "tanh", latent, width, norm_eps=0.8)
        self.decoder = Generator(layout, spec, classes=0)
        initialize_small(self.decoder.trunk)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (mean, log variance) of the latents, (N, latent) each, of images (N, C, H, W).

        Each image column is first scaled to unit length, as in the published code.
        """
        standard = self.decoder.spec.to_standard(images)
        hidden = self.encoder(F.normalize(standard, dim=2)).flatten(1)
        return self.mean(hidden), self.log_variance(hidden)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return reconstruction, mean and log variance; the latents are drawn at random."""
        mean, log_variance = self.encode(images)
        noise = torch.randn(mean.shape).to(mean)
        return self.decoder(mean + noise * (log_variance / 2).exp()), mean, log_variance
