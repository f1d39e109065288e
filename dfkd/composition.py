"""The parts that a recipe is composed of, one class an axis. Data only, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Option = float | str | bool


@dataclass(frozen=True)
class Wrapper:
    """What a term's value passes through before it is weighted.

    Attributes:
        kind: "plain" leaves it alone; "exp-increment" is exp(value - reference), RDSKD's way of
            punishing what gets worse; "bounded" is max(value, -bound), MAD's limit to an adversary;
            "log1p" is -log(1 - value) for a term that is never positive, DFAD's tamer adversary.
        bound: For "bounded".
        refresh: For "exp-increment": the reference becomes the present value every so many
            generator steps of the paper's schedule.
    """

    kind: Literal["plain", "exp-increment", "bounded", "log1p"] = "plain"
    bound: float = 1.0
    refresh: int = 1


@dataclass(frozen=True)
class Term:
    """One term of the generator's loss.

    Attributes:
        name: A key of `dfkd.terms.TERMS`.
        weight: Its factor in the sum.
        where_possible: Left out, and said so, for a teacher that lacks what the term needs;
            otherwise such a teacher is refused.
        options: What the term itself may be told.
        wrapper: What its value passes through.
    """

    name: str
    weight: float
    where_possible: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)
    wrapper: Wrapper = Wrapper()


SynthesizerKind = Literal[
    "generator", "fresh-generator", "meta-generator", "noisy-layer", "pixels", "impressions"
]


@dataclass(frozen=True)
class Synthesizer:
    """Where images come from.

    Attributes:
        kind: "generator" is trained along the run and drawn from at will. The others make one
            batch at a time by `steps` steps of optimisation, for a pool: with a generator born for
            each batch (CMI), one that starts from a meta-learned state (Fast-Datafree), one whose
            first layer is drawn anew (NAYER), on the pixels towards labels (DeepInversion), or on
            the pixels towards soft answers drawn from a Dirichlet distribution (ZSKD).
        network: A key of `dfkd.models.generators.GENERATORS`.
        head: How the network ends, a key of `dfkd.models.generators.HEADS`.
        latent: Size of the latent vector.
        width: Channels of the hidden layers.
        conditional: Whether the generator is told which class to draw.
        conditioning: Latent and class embedding are multiplied or added.
        norm_eps: The eps of the hidden batch norms (0.8 in DAFL's code and its descendants).
        spectral: Spectral norm on the convolutions, small uniform first weights (PRE-DFKD).
        steps: Optimisation steps a batch.
        latent_lr: Adam's learning rate for the latents themselves; 0 leaves them as drawn.
        augment: What happens to the images before the networks see them: "roll" by up to 2 pixels,
            "crop-flip" by up to 4, both once a batch; "two-views" adds a second, local view.
        renew_every: Batches after which "meta-generator" draws its first
            layers and "noisy-layer" its whole generator anew; 0 never.
    """

    kind: SynthesizerKind = "generator"
    network: str = "pixel-shuffle"
    head: str = "clamp"
    latent: int = 256
    width: int = 32
    conditional: bool = False
    conditioning: Literal["product", "sum"] = "product"
    norm_eps: float = 1e-5
    spectral: bool = False
    steps: int = 1
    latent_lr: float = 0.0
    augment: Literal["none", "roll", "crop-flip", "two-views"] = "none"
    renew_every: int = 0


@dataclass(frozen=True)
class Memory:
    """What the student is shown again.

    Attributes:
        kind: "pool" is a ring of single images, "bank" a ring of whole batches (MB-DFKD), "vae" a
            model of all earlier images (PRE-DFKD), "average-generator" the running average of the
            generator (MAD).
        capacity: Images of the pool, batches of the bank.
        share: Replayed images a student step, as a share of a batch.
        every: Rounds of the paper's schedule between two batches for the bank.
        decay: Of the average generator.
        latent: Size of the VAE's latent vector.
        lr: Adam's learning rate for the VAE.
        steps: Student steps of a round in which the VAE learns too.
    """

    kind: Literal["none", "pool", "bank", "vae", "average-generator"] = "none"
    capacity: int = 0
    share: float = 1.0
    every: int = 1
    decay: float = 0.95
    latent: int = 1000
    lr: float = 5e-4
    steps: int = 4


@dataclass(frozen=True)
class Objective:
    """What the student minimises.

    Attributes:
        kind: A key of `dfkd.training.objectives.OBJECTIVES`.
        temperature: Of "soft-kl" and "difference-entropy".
        attention: Weight of the distance between attention maps (ZSKT); 0 leaves it out.
        stages: Weight of the distance between what the stages give, channel by channel (FitNets);
            for a student whose stages are as wide as the teacher's; 0 leaves it out.
    """

    kind: Literal["logit-l1", "soft-kl", "difference-entropy"] = "soft-kl"
    temperature: float = 4.0
    attention: float = 0.0
    stages: float = 0.0

    @property
    def compares_maps(self) -> bool:
        """Whether it asks for more than the teacher's logits."""
        return bool(self.attention or self.stages)


@dataclass(frozen=True)
class Update:
    """How the student learns from new and from replayed images.

    Attributes:
        kind: "plain" takes both as one batch; "two-source" adds their losses (MAD); "meta" also
            asks that a step on the new images does not harm the replayed ones (LRA).
        replay_weight: For "two-source".
        inner_lr: For "meta": the virtual step's.
        first_order: For "meta": the virtual step's gradient counts as a constant.
    """

    kind: Literal["plain", "two-source", "meta"] = "plain"
    replay_weight: float = 1.0
    inner_lr: float = 0.001
    first_order: bool = False


@dataclass(frozen=True)
class Optimizer:
    """How one network learns.

    Attributes:
        lr: Learning rate.
        kind: Adam or SGD.
        betas: For Adam.
        momentum: For SGD.
        nesterov: For SGD.
        weight_decay: For either.
        policy: "constant"; "cosine" falls to `final`; "steps" divides by ten at each milestone.
        final: The fraction of itself the rate falls to.
        milestones: Shares of the run.
        clip: Largest norm of a gradient; 0 does not clip.
    """

    lr: float
    kind: Literal["adam", "sgd"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    policy: Literal["constant", "cosine", "steps"] = "cosine"
    final: float = 0.01
    milestones: tuple[float, ...] = ()
    clip: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """How often who learns from how much.

    A round is `generator_steps` generator steps (or synthesised batches), then `student_steps` of
    the student.

    Attributes:
        batch: Images per batch.
        generator_steps: Generator steps in a round; 0 leaves the generator as the warm-up left it.
        fresh_batches: Batches drawn anew in a round; the student's first steps learn from them,
            its further steps from memory alone.
        student_steps: Student steps in a round.
        warmup_rounds: Rounds before the first in which the generator learns from the teacher
            alone, one generator step (or batch) each; stretched with the run.
        rounds: The run's length as published; a budget stretches or shortens it.
        fresh: "new" images for each fresh batch; "mixed", new ones of which half are blended in
            pairs; "same-latents" as the round's last generator step (ZSKT); "generator-batch", the
            very images of that step (DAFL). The latter two serve every student step of the round.
        frozen_norms: The generator draws for the student in eval mode.
    """

    batch: int = 128
    generator_steps: int = 1
    fresh_batches: int = 1
    student_steps: int = 1
    warmup_rounds: int = 0
    rounds: int = 400
    fresh: Literal["new", "mixed", "same-latents", "generator-batch"] = "new"
    frozen_norms: bool = False

    @property
    def shares_a_batch(self) -> bool:
        """Whether one batch serves every student step of a round."""
        return self.fresh in ("same-latents", "generator-batch")
