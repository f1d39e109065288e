"""DFQ-AKD: an adversarial KL term and terms on the teacher; also used for quantization."""

from dfkd.composition import (
    Adam,
    CosineRate,
    GeneratorNetwork,
    KeptGenerator,
    Schedule,
    Sgd,
    SoftKl,
    Term,
)
from dfkd.recipe import Recipe

DFQ_AKD = Recipe(
    name="dfq-akd",
    citation="Choi et al., Data-Free Network Quantization with Adversarial Knowledge "
    "Distillation, CVPR Workshops 2020, arXiv 2005.04136",
    role="published",
    synthesizer=KeptGenerator(
        GeneratorNetwork(trunk="upsample", head="tanh", latent=512, width=128)
    ),
    terms=(
        Term("adversary", 1.0),
        Term("batch-norm-kl", 0.01),
        Term("entropy", 0.01),
        Term("class-balance", 0.01),
    ),
    objective=SoftKl(temperature=1.0),
    schedule=Schedule(
        batch=256,
        fresh_batches=10,
        student_steps=10,
        warmup_rounds=50 * 400,
        rounds=200 * 400,
        frozen_norms=True,
    ),
    generator=Adam(1e-3, betas=(0.5, 0.999), policy=CosineRate(final=0.0)),
    student=Sgd(0.1, nesterov=True, policy=CosineRate(final=0.0)),
    reported={"CIFAR-10 ResNet-34 -> ResNet-18": "94.61 (CMI's repository, its own port)"},
    notes=(
        "The settings are those of an unofficial port. Unverified: the weights of 0.01 (alpha in "
        "the paper) and the number of generators.",
        "Ours: one generator, with DAFL's layers instead of four stages that start at a 4x4 grid.",
    ),
)
