"""The default recipe for a quantized student: the house recipe with lower learning rates."""

from dataclasses import replace

from dfkd.composition import Adam, ImagePool, Schedule
from dfkd.recipes.house import HOUSE

HOUSE_QUANTIZE = replace(
    HOUSE,
    name="house-quantize",
    citation=f"{HOUSE.citation}; on a fake-quantized student: DFQ-AKD (Choi et al. 2020)",
    memory=ImagePool(capacity=8_000),
    schedule=Schedule(batch=64, fresh_batches=2, student_steps=5, warmup_rounds=300, rounds=80),
    generator=Adam(1e-3),
    student=Adam(1e-4),
)
"""The warm-up trains a new generator. It is skipped if the generator of a distillation is used."""
