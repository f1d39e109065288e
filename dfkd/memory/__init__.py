"""Memories: sources of replayed images for the student, with one implementation in each file."""

from typing import TYPE_CHECKING, Any

from dfkd.memory.table import MEMORIES, MemoryEntry, add_memory
from dfkd.references import load

if TYPE_CHECKING:
    from dfkd.memory.labelled_batch import LabelledBatch
    from dfkd.memory.make import make_memory
    from dfkd.memory.protocol import Memory

__all__ = ["MEMORIES", "LabelledBatch", "Memory", "MemoryEntry", "add_memory", "make_memory"]

_LAZY = {
    "LabelledBatch": "dfkd.memory.labelled_batch:LabelledBatch",
    "Memory": "dfkd.memory.protocol:Memory",
    "make_memory": "dfkd.memory.make:make_memory",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return load(_LAZY[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
