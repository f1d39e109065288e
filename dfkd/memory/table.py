"""The table of memories.

A new memory needs a row here, a dataclass in `dfkd.composition`, and a file with its code.
"""

from dataclasses import dataclass

from dfkd.composition import AnyMemory, AverageGenerator, BatchBank, ImagePool, VaeReplay
from dfkd.references import module_of


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
