"""Where images come from: a generator that is kept, or one batch after another for a pool."""

import torch
from torch import Tensor, nn

from dfkd.composition import (
    FreshGenerator,
    KeptGenerator,
    MetaGenerator,
    NoisyLayer,
    SoftLabelPixels,
)
from dfkd.images import ImageSpec
from dfkd.models.generators import Generator, NoisyLayerGenerator
from dfkd.recipe import Recipe
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer
from dfkd.synthesizers.per_batch_generators import (
    FreshGeneratorSynthesizer,
    MetaGeneratorSynthesizer,
    NoisyLayerSynthesizer,
)
from dfkd.synthesizers.pixel_optimization import PixelSynthesizer, SoftLabelPixelSynthesizer
from dfkd.synthesizers.protocol import Draft, Synthesizer

EMBEDDING = 512
"""Size of random label embeddings; that of CLIP's text encoder, which NAYER uses."""

__all__ = ["Draft", "Synthesizer", "build_generator", "make_synthesizer"]


def build_generator(
    recipe: Recipe, spec: ImageSpec, classes: int, embeddings: Tensor | None = None
) -> nn.Module | None:
    """A fresh generator as the recipe asks, from torch's global random state.

    Args:
        recipe: The composition.
        spec: The images to draw.
        classes: Number of classes.
        embeddings: (K, E) label embeddings for a noisy-layer generator; random ones without.

    Returns:
        The generator that lives as long as the run; None when the recipe has none (images are
        made from pixels, or by a generator born for each batch).
    """
    synthesizer = recipe.synthesizer
    if isinstance(synthesizer, KeptGenerator | MetaGenerator):
        return Generator(synthesizer.network, spec, classes, synthesizer.conditioning)
    if isinstance(synthesizer, NoisyLayer):
        rows = torch.randn(classes, EMBEDDING) if embeddings is None else embeddings
        # One noisy layer for each K images: no two images of a batch share class and layer.
        groups = -(-recipe.schedule.batch // classes)
        return NoisyLayerGenerator(synthesizer.network, spec, rows, groups)
    return None


def make_synthesizer(
    recipe: Recipe,
    *,
    generator: nn.Module | None,
    teacher: nn.Module,
    spec: ImageSpec,
    classes: int,
    device: torch.device,
) -> Synthesizer:
    """The synthesizer of a recipe.

    Args:
        recipe: The composition.
        generator: As `build_generator` makes it.
        teacher: The network, for those that read its last layer.
        spec: The images.
        classes: Number of classes.
        device: Where images are made.
    """
    synthesizer = recipe.synthesizer
    if isinstance(synthesizer, KeptGenerator):
        assert isinstance(generator, Generator)
        return KeptGeneratorSynthesizer(recipe, generator, classes, device)
    if isinstance(synthesizer, FreshGenerator):
        return FreshGeneratorSynthesizer(recipe, spec, classes, device)
    if isinstance(synthesizer, MetaGenerator):
        assert isinstance(generator, Generator)
        return MetaGeneratorSynthesizer(recipe, generator, classes, device, synthesizer.renew_every)
    if isinstance(synthesizer, NoisyLayer):
        assert isinstance(generator, NoisyLayerGenerator)
        return NoisyLayerSynthesizer(recipe, generator, classes, device, synthesizer.renew_every)
    if isinstance(synthesizer, SoftLabelPixels):
        return SoftLabelPixelSynthesizer(recipe, teacher, spec, classes, device)
    return PixelSynthesizer(recipe, spec, classes, device)
