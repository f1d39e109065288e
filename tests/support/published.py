"""What is published about every method, typed from the papers and their code, by recipe name."""

from dataclasses import dataclass, field

from dfkd.composition import (
    Adam,
    AverageGenerator,
    BatchBank,
    Bounded,
    ConstantRate,
    CosineRate,
    DifferenceEntropy,
    ExpIncrement,
    FreshGenerator,
    ImagePool,
    KeptGenerator,
    LogitL1,
    MetaGenerator,
    MetaStep,
    NoisyLayer,
    PixelOptimization,
    Sgd,
    SoftKl,
    SoftLabelPixels,
    StepRate,
    TwoSource,
    VaeReplay,
)

DAFL_LAYOUT = ("tanh", 0.8, False)
SPECTRAL_LAYOUT = ("tanh", 0.8, True)
ORDINARY_LAYOUT = ("tanh", 1e-5, False)
SIGMOID_LAYOUT = ("sigmoid", 1e-5, False)

JS_MEAN = {"temperature": 3.0, "reduction": "mean", "clamp": 0.01}
JS_BATCHMEAN = {**JS_MEAN, "reduction": "batchmean"}
TENS = {"base": 10}
NOVEL = {"certainty": 1.0, "class-balance": 5.0, "activation": 0.1, "adversary-js": 1.0}
NOVEL_OPTIONS = {"class-balance": TENS, "adversary-js": JS_MEAN}


@dataclass(frozen=True)
class Published:
    """A method as published; None where a value is not known (or where there is no such part).

    Attributes:
        terms: Weight of each term.
        memory: Class of the memory; None for no memory.
        objective: (class, temperature); None as temperature where there is none.
        ratio: (generator steps or batches, student steps) in a round.
        batch: Images in a batch.
        latent: Size of the generator's latent vector.
        generator: (learning rate, class of the optimizer).
        student: (learning rate, class of the optimizer, weight decay, class of the rate policy).
        rounds: (warm-up, main) rounds.
        layout: (head, eps of the hidden batch norms, spectral norm).
        steps: Optimization steps for one batch.
        options: Options of each term.
        wrappers: Class of each term's wrapper.
        milestones: Of the student's learning rate.
        replay: Replayed images in a student step.
        update: Class of the update; None for one joint batch.
        kind: Class of the synthesizer.
        fresh: Where the student's new images come from.
        extra: Other attributes, by their path.
    """

    terms: dict[str, float | None]
    memory: type | None
    objective: tuple[type | None, float | None]
    ratio: tuple[int, int] | None
    batch: int | None
    latent: int | None
    generator: tuple[float | None, type]
    student: tuple[float | None, type | None, float | None, type | None]
    rounds: tuple[int, int] | None = None
    layout: tuple[str, float, bool] | None = None
    steps: int = 1
    options: dict[str, dict[str, object]] = field(default_factory=dict)
    wrappers: dict[str, type] = field(default_factory=dict)
    milestones: tuple[float, ...] = ()
    replay: int | None = None
    update: type | None = None
    kind: type = KeptGenerator
    fresh: str = "new"
    extra: dict[str, object] = field(default_factory=dict)


L1 = (LogitL1, None)

KNOWN = {
    "gdfq": Published(
        terms={"label-certainty": 1.0, "batch-norm-mse": 0.1},
        memory=None,
        objective=(SoftKl, 20.0),
        ratio=(1, 1),
        batch=200,
        latent=100,
        generator=(1e-3, Adam),
        student=(1e-4, Sgd, 1e-4, StepRate),
        milestones=(100 / 400, 200 / 400, 300 / 400),
        rounds=(4 * 200, 396 * 200),
        layout=DAFL_LAYOUT,
        fresh="generator-batch",
        extra={
            "synthesizer.conditioning": "product",
            "generator.betas": (0.5, 0.999),
            "student.nesterov": True,
        },
    ),
    "adadfq": Published(
        terms={
            "difficulty-margin": 1.0,
            "disagreement-label": 0.2,
            "agreement-label": 0.1,
            "batch-norm-mse": 1.0,
        },
        memory=None,
        objective=(DifferenceEntropy, 20.0),
        ratio=(1, 1),
        batch=16,
        latent=100,
        generator=(1e-3, Adam),
        student=(1e-4, Sgd, 1e-4, StepRate),
        milestones=(0.25, 0.5, 0.75),
        rounds=(800, 79_200),
        layout=DAFL_LAYOUT,
        fresh="generator-batch",
    ),
    "rdskd": Published(
        terms={"certainty": 1.0, "class-balance": 1.0, "inter-sample": 1.0},
        wrappers={"certainty": ExpIncrement, "class-balance": ExpIncrement},
        memory=None,
        objective=(SoftKl, 10.0),
        ratio=(0, 1),
        batch=2 * 256,
        latent=100,
        generator=(1e-3, Adam),
        student=(2e-3, Adam, None, ConstantRate),
        rounds=(20 * 120, 1_000 * 120),
        layout=DAFL_LAYOUT,
        extra={"schedule.frozen_norms": True},
    ),
    "rdskd-cifar10": Published(
        terms={"certainty": 1.0, "class-balance": 1.0, "inter-sample": 1.0},
        wrappers={"certainty": ExpIncrement, "class-balance": ExpIncrement},
        memory=None,
        objective=(SoftKl, 10.0),
        ratio=(0, 1),
        batch=512,
        latent=1000,
        generator=(1e-3, Adam),
        student=(2e-3, Adam, None, StepRate),
        milestones=(800 / 1000,),
        rounds=(2_400, 120_000),
        layout=DAFL_LAYOUT,
    ),
    "mb-dfkd": Published(
        terms=NOVEL,
        options=NOVEL_OPTIONS,
        memory=BatchBank,
        objective=L1,
        ratio=(1, 10),
        batch=1024,
        latent=1000,
        generator=(0.02, Adam),
        student=(0.1, Sgd, 5e-4, CosineRate),
        rounds=(0, 400 * 36),
        layout=SPECTRAL_LAYOUT,
        replay=1024 // 8,
        extra={"memory.capacity": 10, "memory.every": 5 * 36},
    ),
    "pre-dfkd": Published(
        terms=NOVEL,
        options=NOVEL_OPTIONS,
        memory=VaeReplay,
        objective=L1,
        ratio=(1, 10),
        batch=1024,
        latent=1000,
        generator=(0.02, Adam),
        student=(0.1, Sgd, 5e-4, CosineRate),
        rounds=(0, 400 * 36),
        layout=SPECTRAL_LAYOUT,
        replay=1024 // 8,
        extra={"memory.latent": 1000, "memory.lr": 5e-4, "memory.steps": 4},
    ),
    "lra": Published(
        terms=NOVEL,
        options=NOVEL_OPTIONS,
        memory=VaeReplay,
        objective=L1,
        ratio=(1, 10),
        batch=512,
        latent=1000,
        generator=(0.02, Adam),
        student=(0.1, Sgd, 5e-4, CosineRate),
        rounds=(0, 400 * 72),
        layout=SPECTRAL_LAYOUT,
        replay=512 // 8,
        update=MetaStep,
        # Its inner rate of 0.9 was never felt; the advised range begins at 0.01 and ends at 0.1.
        extra={"update.first_order": False},
    ),
    "ta-dfkd": Published(
        terms={
            "adversary-js": 1.0,
            "batch-norm-l2": 10.0,
            "image-norm": 6e-3,
            "total-variation": 1.5e-5,
        },
        options={"adversary-js": JS_MEAN},
        memory=None,
        objective=L1,
        ratio=(1, 10),
        batch=1024,
        latent=1000,
        generator=(1e-3, Adam),
        student=(0.01, Sgd, 5e-4, CosineRate),
        rounds=(0, 200 * 36),
        layout=("sigmoid", 0.8, False),
        extra={"selection": "clean-mixture", "synthesizer.augment": "crop-flip"},
    ),
    "de-dfkd": Published(
        terms=dict.fromkeys(
            ("label-certainty", "batch-norm", "adversary", "metric", "mode-seeking")
        ),
        memory=None,
        objective=(None, None),
        ratio=None,
        batch=None,
        latent=None,
        generator=(None, Adam),
        student=(None, None, None, None),
        extra={"synthesizer.conditioning": "product"},
    ),
    "dafl": Published(
        terms={"certainty": 1.0, "class-balance": 5.0, "activation": 0.1},
        options={"class-balance": TENS},
        memory=None,
        objective=(SoftKl, 1.0),
        ratio=(1, 1),
        batch=512,
        latent=100,
        generator=(0.2, Adam),
        student=(2e-3, Adam, None, None),
        rounds=(0, 200 * 120),
        layout=DAFL_LAYOUT,
        fresh="generator-batch",
    ),
    "dafl-cifar10": Published(
        terms={"certainty": 0.05, "class-balance": 5.0, "activation": 0.01},
        options={"class-balance": TENS},
        memory=None,
        objective=(SoftKl, 1.0),
        ratio=(1, 1),
        batch=1024,
        latent=1000,
        generator=(0.02, Adam),
        student=(0.1, Sgd, 5e-4, StepRate),
        milestones=(800 / 2000, 1600 / 2000),
        rounds=(0, 2_000 * 120),
        layout=DAFL_LAYOUT,
        fresh="generator-batch",
    ),
    "zskt": Published(
        terms={"adversary": 1.0},
        memory=None,
        objective=(SoftKl, 1.0),
        ratio=(1, 10),
        batch=128,
        latent=100,
        generator=(1e-3, Adam),
        student=(2e-3, Adam, None, CosineRate),
        layout=("free", 1e-5, False),
        fresh="same-latents",
        # 250 beside a mean over elements, which is a batch mean over the number of classes.
        # Ten times the published, beside a KL that is a batch mean at ten classes.
        extra={"objective.attention": 2500.0, "generator.clip": 50.0, "student.clip": 50.0},
    ),
    "zskd": Published(
        terms={"soft-label": 1.0},
        options={"soft-label": {"temperature": 20.0}},
        memory=ImagePool,
        objective=(SoftKl, 20.0),
        ratio=(0, 1),
        batch=100,
        latent=None,
        generator=(1e-3, Adam),
        student=(1e-3, Adam, None, None),
        rounds=(400, 500 * 40_000 // 64),
        steps=1_500,
        replay=64,
        kind=SoftLabelPixels,
        extra={"memory.capacity": 40_000},
    ),
    "deepinversion": Published(
        terms={"label-certainty": 1.0, "batch-norm-l2": 10.0, "total-variation": 2.5e-5},
        memory=ImagePool,
        objective=(SoftKl, 3.0),
        ratio=None,
        batch=256,
        latent=None,
        generator=(0.05, Adam),
        student=(None, None, None, None),
        steps=2_000,
        kind=PixelOptimization,
        extra={
            "memory.capacity": 1_000 * 256,
            "schedule.generator_steps": 0,
            "synthesizer.augment": "roll",
        },
    ),
    "adi": Published(
        # Its weight is 0 by default.
        terms={
            "label-certainty": 1.0,
            "batch-norm-l2": 10.0,
            "total-variation": 2.5e-5,
            "adversary-js": None,
        },
        options={"adversary-js": JS_BATCHMEAN},
        memory=ImagePool,
        objective=(SoftKl, 3.0),
        ratio=(1, 50),
        batch=256,
        latent=None,
        generator=(0.05, Adam),
        student=(None, None, None, None),
        steps=2_000,
        kind=PixelOptimization,
        extra={"synthesizer.augment": "roll"},
    ),
    "mad": Published(
        terms={"adversary": 1.0, "label-certainty": 1.0},
        wrappers={"adversary": Bounded},
        memory=AverageGenerator,
        objective=(SoftKl, None),
        ratio=None,
        batch=None,
        latent=None,
        generator=(None, Adam),
        student=(None, None, None, None),
        update=TwoSource,
        extra={
            "memory.decay": 0.95,
            "synthesizer.conditioning": "sum",
        },
    ),
    "dfq-akd": Published(
        terms={"adversary": 1.0, "batch-norm-kl": 0.01, "entropy": 0.01, "class-balance": 0.01},
        memory=None,
        objective=(SoftKl, 1.0),
        ratio=(1, 10),
        batch=256,
        latent=512,
        generator=(1e-3, Adam),
        student=(0.1, Sgd, None, CosineRate),
        rounds=(50 * 400, 200 * 400),
        layout=ORDINARY_LAYOUT,
        extra={
            "generator.betas": (0.5, 0.999),
            "generator.policy": CosineRate(final=0.0),
            "student.nesterov": True,
            "student.momentum": 0.9,
            "schedule.frozen_norms": True,
        },
    ),
    "dfad": Published(
        terms={"adversary-l1": 1.0},
        memory=None,
        objective=L1,
        ratio=(1, 5),
        batch=512,
        latent=100,
        generator=(1e-3, Adam),
        student=(0.01, Sgd, 1e-4, None),
        rounds=(0, 40 * 50),
        layout=ORDINARY_LAYOUT,
    ),
    "dfad-cifar10": Published(
        terms={"adversary-l1": 1.0},
        memory=None,
        objective=L1,
        ratio=(1, 5),
        batch=256,
        latent=256,
        generator=(1e-3, Adam),
        student=(0.1, Sgd, 5e-4, StepRate),
        milestones=(100 / 500, 200 / 500),
        rounds=(0, 500 * 50),
        layout=ORDINARY_LAYOUT,
        extra={"generator.policy.milestones": (100 / 500, 200 / 500)},
    ),
    "cmi": Published(
        terms={
            "batch-norm-l2": 1.0,
            "label-certainty": 0.5,
            "adversary-while-agreed": 0.5,
            "contrast": 0.8,
        },
        options={"contrast": {"temperature": 0.2, "negatives": 4096, "capacity": 40_960}},
        memory=ImagePool,
        objective=(SoftKl, 20.0),
        ratio=(1, 400),
        batch=256,
        latent=256,
        generator=(1e-3, Adam),
        student=(0.1, Sgd, None, CosineRate),
        rounds=(0, 200),
        layout=SIGMOID_LAYOUT,
        steps=200,
        replay=128,
        kind=FreshGenerator,
        extra={
            "generator.betas": (0.5, 0.999),
            "synthesizer.latent_lr": 1e-3,
            "synthesizer.augment": "two-views",
        },
    ),
    "fast-datafree": Published(
        terms={"batch-norm-average": 10.0, "label-certainty": 0.4, "adversary-while-agreed": 1.1},
        options={"batch-norm-average": {"momentum": 0.9}},
        memory=ImagePool,
        objective=(SoftKl, 20.0),
        ratio=(1, 400),
        batch=256,
        latent=256,
        generator=(3e-3, Adam),
        student=(0.2, Sgd, None, CosineRate),
        rounds=(20, 200),
        layout=SIGMOID_LAYOUT,
        steps=5,
        kind=MetaGenerator,
        extra={
            "synthesizer.latent_lr": 0.01,
            "synthesizer.renew_every": 120 + 20,
            "student.policy.final": 2e-4 / 0.2,
        },
    ),
    "nayer": Published(
        terms={"batch-norm-average": 10.0, "label-certainty": 0.5, "adversary-while-agreed": 1.33},
        options={"batch-norm-average": {"momentum": 0.9}},
        memory=ImagePool,
        objective=(SoftKl, 20.0),
        ratio=(2, 400),
        batch=400,
        latent=1000,
        generator=(4e-3, Adam),
        student=(0.2, Sgd, None, CosineRate),
        rounds=(20 * 10, 100),
        layout=SIGMOID_LAYOUT,
        steps=30,
        replay=512,
        kind=NoisyLayer,
        extra={
            "generator.betas": (0.5, 0.999),
            "student.policy.final": 2e-4 / 0.2,
            # The whole generator every ten epochs of two batches.
            "synthesizer.renew_every": 10 * 2,
        },
    ),
}
