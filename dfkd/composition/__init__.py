"""Frozen dataclasses that describe the parts of a recipe. This package does not import torch."""

from dfkd.composition.composition import Composition
from dfkd.composition.generator_loss import AnyWrapper, Bounded, ExpIncrement, Log1p, Option, Term
from dfkd.composition.optimizers import (
    Adam,
    AnyOptimizer,
    AnyRatePolicy,
    ConstantRate,
    CosineRate,
    Sgd,
    StepRate,
)
from dfkd.composition.replay import AnyMemory, AverageGenerator, BatchBank, ImagePool, VaeReplay
from dfkd.composition.schedule import Schedule
from dfkd.composition.student_loss import (
    AnyObjective,
    AnyUpdate,
    DifferenceEntropy,
    LogitL1,
    MetaStep,
    SoftKl,
    TwoSource,
)
from dfkd.composition.synthesis import (
    AnySynthesizer,
    FreshGenerator,
    GeneratorNetwork,
    KeptGenerator,
    MetaGenerator,
    NoisyLayer,
    PixelOptimization,
    SoftLabelPixels,
)

__all__ = [
    "Adam",
    "AnyMemory",
    "AnyObjective",
    "AnyOptimizer",
    "AnyRatePolicy",
    "AnySynthesizer",
    "AnyUpdate",
    "AnyWrapper",
    "AverageGenerator",
    "BatchBank",
    "Bounded",
    "Composition",
    "ConstantRate",
    "CosineRate",
    "DifferenceEntropy",
    "ExpIncrement",
    "FreshGenerator",
    "GeneratorNetwork",
    "ImagePool",
    "KeptGenerator",
    "Log1p",
    "LogitL1",
    "MetaGenerator",
    "MetaStep",
    "NoisyLayer",
    "Option",
    "PixelOptimization",
    "Schedule",
    "Sgd",
    "SoftKl",
    "SoftLabelPixels",
    "StepRate",
    "Term",
    "TwoSource",
    "VaeReplay",
]
