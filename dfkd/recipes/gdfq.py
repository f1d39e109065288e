"""GDFQ: a conditional generator, trained on labels and batch-norm statistics, for quantization."""

from dfkd.composition import (
    Adam,
    GeneratorNetwork,
    KeptGenerator,
    Schedule,
    Sgd,
    SoftKl,
    StepRate,
    Term,
)
from dfkd.recipe import Recipe

MILESTONES = (0.25, 0.5, 0.75)
"""Epochs 100, 200 and 300 of 400, as shares of the run."""

GDFQ = Recipe(
    name="gdfq",
    citation="Xu et al., Generative Low-bitwidth Data Free Quantization, ECCV 2020",
    role="published-quantization",
    synthesizer=KeptGenerator(
        GeneratorNetwork(trunk="upsample", head="tanh", latent=100, width=128, norm_eps=0.8),
        conditioning="product",
    ),
    terms=(Term("label-certainty", 1.0), Term("batch-norm-mse", 0.1)),
    objective=SoftKl(temperature=20.0),
    schedule=Schedule(batch=200, fresh="generator-batch", warmup_rounds=4 * 200, rounds=396 * 200),
    generator=Adam(1e-3, betas=(0.5, 0.999), policy=StepRate(MILESTONES)),
    student=Sgd(1e-4, nesterov=True, weight_decay=1e-4, policy=StepRate(MILESTONES)),
    reported={
        "CIFAR-10 ResNet-20 (93.89), W4A4": "90.11 (AdaDFQ's table 2)",
        "CIFAR-100 ResNet-20 (70.33), W4A4": "63.58 +- 0.23 (own)",
        "ImageNet ResNet-18 (71.47), W4A4": "60.60 +- 0.15 (own)",
    },
    notes=(
        "The generator's losses and schedule are published. Ours: the student is trained with the"
        " teacher's softened predictions alone, without the cross-entropy against the labels. Its"
        " loss is a mean over the batch, which is K times the published mean over elements.",
        "The published quantizer is asymmetric; the quantizer of the run file is used instead.",
    ),
)
