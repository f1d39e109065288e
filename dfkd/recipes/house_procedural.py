"""The house recipe with procedural images in the pool: the candidate for the next default."""

from dataclasses import replace

from dfkd.recipes.house import HOUSE

HOUSE_PROCEDURAL = replace(
    HOUSE,
    name="house-procedural",
    citation=(
        f"{HOUSE.citation}; procedural images: dead leaves (Lee et al. 2001), as training images "
        "in Baradad et al. 2021"
    ),
    schedule=replace(HOUSE.schedule, procedural_batches=8),
)
