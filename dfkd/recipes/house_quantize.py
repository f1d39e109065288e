"""The default for the quantized student: the house recipe at gentler learning rates."""

from dataclasses import replace

from dfkd.composition import Memory, Optimizer, Schedule
from dfkd.recipes.house import HOUSE

HOUSE_QUANTIZE = replace(
    HOUSE,
    name="house-quantize",
    citation=f"{HOUSE.citation}; on a fake-quantized student: DFQ-AKD (Choi et al. 2020)",
    memory=Memory("pool", capacity=8_000),
    schedule=Schedule(batch=64, fresh_batches=2, student_steps=5, warmup_rounds=300, rounds=80),
    generator=Optimizer(1e-3),
    student=Optimizer(1e-4),
)
"""The warm-up rounds teach a fresh generator; one that comes from distillation skips them."""
