"""Where training images come from: a generator network, or optimization of the pixels."""

from dataclasses import dataclass
from typing import ClassVar, Literal

Augment = Literal["none", "roll", "crop-flip", "two-views"]
"""Augmentation between the synthesizer and the networks, drawn once for each batch: "roll" shifts
by up to 2 pixels, "crop-flip" by up to 4 and mirrors, "two-views" adds a second, local view."""

Conditioning = Literal["product", "sum"] | None
"""How the class embedding enters the latent vector; None for an unconditional generator."""

Labels = Literal["classes", "soft"] | None
"""The labels that a synthesizer chooses for its images: class indices, distributions or none."""


@dataclass(frozen=True)
class GeneratorNetwork:
    """The layout and size of a generator network.

    Attributes:
        trunk: A key of `dfkd.models.generator_layers.TRUNKS`.
        head: A key of `dfkd.models.generator_layers.HEADS`.
        latent: Size of the latent vector.
        width: Channels of the hidden layers.
        norm_eps: The eps of the hidden batch norms (0.8 in DAFL's code and its descendants).
        spectral: Spectral norm on the convolutions, small uniform initial weights (PRE-DFKD).
    """

    trunk: str = "pixel-shuffle"
    head: str = "clamp"
    latent: int = 256
    width: int = 32
    norm_eps: float = 1e-5
    spectral: bool = False


@dataclass(frozen=True)
class KeptGenerator:
    """One generator that is trained throughout the run and can draw images at any time.

    Attributes:
        network: Layout and size.
        conditioning: How class labels enter; None for an unconditional generator.
        augment: See `Augment`.
    """

    network: GeneratorNetwork = GeneratorNetwork()
    conditioning: Conditioning = None
    augment: Augment = "none"

    steps: ClassVar[int] = 1
    draws_on_demand: ClassVar[bool] = True

    @property
    def labels(self) -> Labels:
        """Class indices for a conditional generator."""
        return "classes" if self.conditioning else None

    @property
    def labelled_latents(self) -> bool:
        """Whether each latent vector belongs to a class."""
        return self.conditioning is not None


@dataclass(frozen=True)
class FreshGenerator:
    """A new generator for each batch, optimized together with the latents (CMI).

    Attributes:
        network: Layout and size.
        conditioning: How class labels enter; None for an unconditional generator.
        steps: Optimization steps for each batch.
        latent_lr: Adam's learning rate for the latents; 0 leaves them as drawn.
        augment: See `Augment`.
    """

    network: GeneratorNetwork = GeneratorNetwork()
    conditioning: Conditioning = None
    steps: int = 1
    latent_lr: float = 0.0
    augment: Augment = "none"

    draws_on_demand: ClassVar[bool] = False
    labels: ClassVar[Labels] = "classes"

    @property
    def labelled_latents(self) -> bool:
        """Whether each latent vector belongs to a class."""
        return self.conditioning is not None


@dataclass(frozen=True)
class MetaGenerator:
    """A copy of a meta-learned generator for each batch (Fast-Datafree).

    Attributes:
        network: Layout and size.
        conditioning: How class labels enter; None for an unconditional generator.
        steps: Optimization steps for each batch.
        latent_lr: Adam's learning rate for the latents; 0 leaves them as drawn.
        augment: See `Augment`.
        renew_every: Batches after which the first layers are initialized again; 0 is never.
    """

    network: GeneratorNetwork = GeneratorNetwork()
    conditioning: Conditioning = None
    steps: int = 1
    latent_lr: float = 0.0
    augment: Augment = "none"
    renew_every: int = 0

    draws_on_demand: ClassVar[bool] = False
    labels: ClassVar[Labels] = "classes"

    @property
    def labelled_latents(self) -> bool:
        """Whether each latent vector belongs to a class."""
        return self.conditioning is not None


@dataclass(frozen=True)
class NoisyLayer:
    """A generator of label embeddings whose first layer is initialized for each batch (NAYER).

    Attributes:
        network: Layout and size; `latent` is the width behind the noisy layer.
        steps: Optimization steps for each batch.
        augment: See `Augment`.
        renew_every: Batches after which the whole generator is initialized again; 0 is never.
    """

    network: GeneratorNetwork = GeneratorNetwork()
    steps: int = 1
    augment: Augment = "none"
    renew_every: int = 0

    draws_on_demand: ClassVar[bool] = False
    labelled_latents: ClassVar[bool] = False
    labels: ClassVar[Labels] = "classes"


@dataclass(frozen=True)
class PixelOptimization:
    """Pixels optimized towards class labels, without a generator (DeepInversion).

    Attributes:
        steps: Optimization steps for each batch.
        augment: See `Augment`.
    """

    steps: int = 1
    augment: Augment = "none"

    draws_on_demand: ClassVar[bool] = False
    labelled_latents: ClassVar[bool] = False
    labels: ClassVar[Labels] = "classes"


@dataclass(frozen=True)
class SoftLabelPixels:
    """Pixels optimized towards soft labels from a Dirichlet distribution (ZSKD).

    Attributes:
        steps: Optimization steps for each batch.
        augment: See `Augment`.
    """

    steps: int = 1
    augment: Augment = "none"

    draws_on_demand: ClassVar[bool] = False
    labelled_latents: ClassVar[bool] = False
    labels: ClassVar[Labels] = "soft"


AnySynthesizer = (
    KeptGenerator
    | FreshGenerator
    | MetaGenerator
    | NoisyLayer
    | PixelOptimization
    | SoftLabelPixels
)
"""Where images come from. All but `KeptGenerator` make one batch at a time for an image pool."""
