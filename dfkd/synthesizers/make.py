"""Construction of generators and synthesizers from a recipe."""

import torch
from torch import Tensor, nn

from dfkd.composition import Composition
from dfkd.images import ImageSpec
from dfkd.references import load
from dfkd.synthesizers.protocol import Synthesizer, SynthesizerContext
from dfkd.synthesizers.table import SYNTHESIZERS


def build_generator(
    recipe: Composition, spec: ImageSpec, classes: int, embeddings: Tensor | None = None
) -> nn.Module | None:
    """Return a freshly initialized generator, from torch's global random state.

    Args:
        recipe: The recipe.
        spec: The images to draw.
        classes: Number of classes.
        embeddings: (K, E) label embeddings for `NoisyLayer`; None for random ones.

    Returns:
        The generator that is kept for the whole run; None if the recipe has none.
    """
    entry = SYNTHESIZERS[type(recipe.synthesizer)]
    if not entry.build_generator:
        return None
    generator: nn.Module = load(entry.build_generator)(recipe, spec, classes, embeddings)
    return generator


def make_synthesizer(
    recipe: Composition,
    *,
    generator: nn.Module | None,
    teacher: nn.Module,
    spec: ImageSpec,
    classes: int,
    device: torch.device,
) -> Synthesizer:
    """Return the synthesizer of a recipe.

    Args:
        recipe: The recipe.
        generator: The network from `build_generator`.
        teacher: The network, for synthesizers that read its last layer.
        spec: The images.
        classes: Number of classes.
        device: Where images are made.
    """
    context = SynthesizerContext(generator, teacher, spec, classes, device)
    made: Synthesizer = load(SYNTHESIZERS[type(recipe.synthesizer)].build)(recipe, context)
    return made
