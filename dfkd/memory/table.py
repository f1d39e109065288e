"""The table of memories.

A new memory needs a row here, a dataclass in `dfkd.composition`, and a file with its code.
"""

from dataclasses import dataclass
from typing import Any

from dfkd.composition import AnyMemory, AverageGenerator, BatchBank, ImagePool, VaeReplay
from dfkd.references import add_entry, module_of


@dataclass(frozen=True)
class MemoryEntry:
    """An implementation of a memory.

    Attributes:
        build: Reference to a function (recipe, `MemoryContext`) -> memory.
        further: Other modules that its results depend on.
    """

    build: str
    further: tuple[str, ...] = ()

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that implement it."""
        return (module_of(self.build), *self.further)


MEMORIES: dict[type[AnyMemory], MemoryEntry] = {
    ImagePool: MemoryEntry("dfkd.memory.pool:build"),
    BatchBank: MemoryEntry("dfkd.memory.bank:build"),
    VaeReplay: MemoryEntry(
        "dfkd.memory.vae_replay:build", ("dfkd.models.vae", "dfkd.terms.certainty")
    ),
    AverageGenerator: MemoryEntry("dfkd.memory.average_generator:build"),
}
"""Every memory, by the dataclass that describes it."""


def add_memory(kind: type[Any], entry: MemoryEntry) -> None:
    """Add a memory from a module outside of dfkd, so that a recipe can contain it.

    Args:
        kind: A frozen dataclass with the fields and methods that `dfkd.composition.ImagePool` has,
            or a subclass of it.
        entry: Its code.

    Raises:
        RecipeError: If the dataclass has another entry.
    """
    add_entry(MEMORIES, kind, entry, f"memory {kind.__name__}")
