"""The default for the quantized student: the house recipe with smaller learning rates."""

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
"""The warm-up trains a fresh generator; with the generator of a distillation it is skipped."""
