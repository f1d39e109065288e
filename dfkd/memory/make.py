"""Construction of a recipe's memory."""

import torch

from dfkd.composition import Composition
from dfkd.images import ImageSpec
from dfkd.memory.protocol import Memory, MemoryContext
from dfkd.memory.table import MEMORIES
from dfkd.models.counted_teacher import Teacher
from dfkd.references import load
from dfkd.synthesizers.protocol import Synthesizer


def make_memory(
    recipe: Composition,
    *,
    synthesizer: Synthesizer,
    teacher: Teacher,
    spec: ImageSpec,
    stretch: float,
    device: torch.device,
) -> Memory | None:
    """Return the memory of a recipe; None if the recipe has none.

    Args:
        recipe: The recipe.
        synthesizer: The source of new images.
        teacher: The teacher, which computes the logits of replayed images.
        spec: Specification of the images.
        stretch: Length of the run divided by the published length.
        device: The device on which images are stored.
    """
    if recipe.memory is None:
        return None
    context = MemoryContext(synthesizer, teacher, spec, stretch, device)
    memory: Memory = load(MEMORIES[type(recipe.memory)].build)(recipe, context)
    return memory
