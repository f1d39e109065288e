"""Synthesizers: they make training images with a generator network or by optimizing pixels."""

from dataclasses import dataclass
from typing import ClassVar, Literal

Augment = Literal["none", "roll", "crop-flip", "two-views"]
"""Augmentation of images before teacher and student see them, with one random draw for each batch.

"roll" shifts by up to 2 pixels. "crop-flip" shifts by up to 4 pixels and mirrors at random.
"two-views" also adds a second view of each image: a random crop, resized to the full size."""

Conditioning = Literal["product", "sum"] | None
"""How the class embedding and the latent vector are combined; None without class labels."""

Labels = Literal["classes", "soft"] | None
"""The labels of a synthesizer's images: class indices, distributions over classes, or none."""


@dataclass(frozen=True)
class GeneratorNetwork:
    """The layout and size of a generator network.

    Attributes:
        trunk: A key of `dfkd.models.generator_layers.TRUNKS`.
        head: A key of `dfkd.models.generator_layers.HEADS`.
        latent: Size of the latent vector.
        width: Channels of the hidden layers.
        norm_eps: Epsilon of the hidden batch norms; 0.8 in DAFL's code and code based on it.
        spectral: Whether convolutions have spectral norm and small uniform initial weights, as in
            PRE-DFKD.
        reduction: Images are drawn at 1 / reduction of the height and width and then enlarged
            bilinearly.
    """

    trunk: str = "pixel-shuffle"
    head: str = "clamp"
    latent: int = 256
    width: int = 32
    norm_eps: float = 1e-5
    spectral: bool = False
    reduction: int = 1


@dataclass(frozen=True)
class KeptGenerator:
    """One generator that is trained throughout the run and can draw images at any time.

    Attributes:
        network: Layout and size of the generator.
        conditioning: See `Conditioning`.
        augment: See `Augment`.
    """

    network: GeneratorNetwork = GeneratorNetwork()
    conditioning: Conditioning = None
    augment: Augment = "none"

    steps: ClassVar[int] = 1
    draws_on_demand: ClassVar[bool] = True

    @property
    def labels(self) -> Labels:
        """The kind of labels: "classes" for a conditional generator, else None."""
        return "classes" if self.conditioning else None

    @property
    def labelled_latents(self) -> bool:
        """Whether each latent vector belongs to a class."""
        return self.conditioning is not None


@dataclass(frozen=True)
class FreshGenerator:
    """A new generator for each batch, optimized together with the latents (CMI).

    Attributes:
        network: Layout and size of the generator.
        conditioning: See `Conditioning`.
        steps: Optimization steps for each batch.
        latent_lr: Adam's learning rate for the latents; 0 does not optimize them.
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
    """A meta-learned generator, of which a copy is optimized for each batch (Fast-Datafree).

    Attributes:
        network: Layout and size of the generator.
        conditioning: See `Conditioning`.
        steps: Optimization steps for each batch.
        latent_lr: Adam's learning rate for the latents; 0 does not optimize them.
        augment: See `Augment`.
        renew_every: Number of batches after which the first layers are initialized again; 0 means
            never.
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
    """A generator with label embeddings as input and a new first layer for each batch (NAYER).

    Attributes:
        network: Layout and size of the generator; `latent` is the number of outputs of its first
            layer, the noisy layer.
        steps: Optimization steps for each batch.
        augment: See `Augment`.
        renew_every: Number of batches after which the whole generator is initialized again; 0 means
            never.
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
    """Optimization of pixels for class labels, without a generator (DeepInversion).

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
    """Optimization of pixels for soft labels from a Dirichlet distribution (ZSKD).

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
"""The source of new images.

All except `KeptGenerator` make one batch at a time and add it to an image pool."""
