"""Synthesizers: sources of training images, with one implementation in each file."""

from typing import TYPE_CHECKING, Any

from dfkd.references import load
from dfkd.synthesizers.table import SYNTHESIZERS, SynthesizerEntry, add_synthesizer

if TYPE_CHECKING:
    from dfkd.synthesizers.make import build_generator, make_synthesizer
    from dfkd.synthesizers.protocol import GeneratedBatch, Synthesizer

__all__ = [
    "SYNTHESIZERS",
    "GeneratedBatch",
    "Synthesizer",
    "SynthesizerEntry",
    "add_synthesizer",
    "build_generator",
    "make_synthesizer",
]

_LAZY = {
    "GeneratedBatch": "dfkd.synthesizers.protocol:GeneratedBatch",
    "Synthesizer": "dfkd.synthesizers.protocol:Synthesizer",
    "build_generator": "dfkd.synthesizers.make:build_generator",
    "make_synthesizer": "dfkd.synthesizers.make:make_synthesizer",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return load(_LAZY[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
