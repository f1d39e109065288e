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
    """Return a new generator, initialized from torch's global random state.

    Args:
        recipe: The recipe.
        spec: Specification of the images to draw.
        classes: Number of classes.
        embeddings: Label embeddings (K, E) for `NoisyLayer`; None for random ones.

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
        teacher: The teacher's network, for synthesizers that use the weights of its last layer.
        spec: Specification of the images.
        classes: Number of classes.
        device: The device on which images are made.
    """
    context = SynthesizerContext(generator, teacher, spec, classes, device)
    made: Synthesizer = load(SYNTHESIZERS[type(recipe.synthesizer)].build)(recipe, context)
    return made
