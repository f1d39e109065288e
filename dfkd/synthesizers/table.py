"""The table of synthesizers.

A new synthesizer needs a row here, a dataclass in `dfkd.composition`, and a file with its code.
"""

from dataclasses import dataclass
from typing import Any

from dfkd.composition import (
    AnySynthesizer,
    FreshGenerator,
    KeptGenerator,
    MetaGenerator,
    NoisyLayer,
    PixelOptimization,
    SoftLabelPixels,
)
from dfkd.references import add_entry, module_of


@dataclass(frozen=True)
class SynthesizerEntry:
    """An implementation of a synthesizer.

    Attributes:
        build: Reference to a function (recipe, `SynthesizerContext`) -> synthesizer.
        build_generator: Reference to a function (recipe, spec, classes, embeddings) -> network,
            for the generator that is kept for the whole run; "" if there is none.
        networks: Other modules that its results depend on.
    """

    build: str
    build_generator: str = ""
    networks: tuple[str, ...] = ()

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that implement it."""
        return (module_of(self.build), *self.networks)


_GENERATOR = ("dfkd.models.generator_layers", "dfkd.models.generators")

SYNTHESIZERS: dict[type[AnySynthesizer], SynthesizerEntry] = {
    KeptGenerator: SynthesizerEntry(
        "dfkd.synthesizers.kept_generator:build",
        "dfkd.synthesizers.kept_generator:build_generator",
        _GENERATOR,
    ),
    FreshGenerator: SynthesizerEntry(
        "dfkd.synthesizers.fresh_generator:build",
        networks=("dfkd.synthesizers.per_batch", *_GENERATOR),
    ),
    MetaGenerator: SynthesizerEntry(
        "dfkd.synthesizers.meta_generator:build",
        "dfkd.synthesizers.kept_generator:build_generator",
        ("dfkd.synthesizers.kept_generator", "dfkd.synthesizers.per_batch", *_GENERATOR),
    ),
    NoisyLayer: SynthesizerEntry(
        "dfkd.synthesizers.noisy_layer:build",
        "dfkd.synthesizers.noisy_layer:build_generator",
        ("dfkd.models.noisy_layer_generator", "dfkd.synthesizers.per_batch", *_GENERATOR),
    ),
    PixelOptimization: SynthesizerEntry("dfkd.synthesizers.pixels:build"),
    SoftLabelPixels: SynthesizerEntry(
        "dfkd.synthesizers.soft_label_pixels:build", networks=("dfkd.synthesizers.pixels",)
    ),
}
"""Every synthesizer, by the dataclass that describes it."""


def add_synthesizer(kind: type[Any], entry: SynthesizerEntry) -> None:
    """Add a synthesizer from a module outside of dfkd, so that a recipe can contain it.

    Args:
        kind: A frozen dataclass with the fields and properties that
            `dfkd.composition.PixelOptimization` has, or a subclass of a synthesizer's dataclass.
        entry: Its code.

    Raises:
        RecipeError: If the dataclass has another entry.
    """
    add_entry(SYNTHESIZERS, kind, entry, f"synthesizer {kind.__name__}")
