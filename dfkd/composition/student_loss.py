"""What the student minimizes, and how new and replayed images are combined in one step."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class _FeatureMaps:
    """Distances between feature maps, added to the distance between logits.

    Attributes:
        attention: Weight of the distance between attention maps (ZSKT); 0 leaves it out.
        stages: Weight of the distance between the outputs of the stages, channel by channel
            (FitNets), for a student whose stages are as wide as the teacher's; 0 leaves it out.
    """

    attention: float = 0.0
    stages: float = 0.0

    @property
    def compares_maps(self) -> bool:
        """Whether the objective needs feature maps besides the logits."""
        return bool(self.attention or self.stages)

    @property
    def logit_options(self) -> dict[str, float]:
        """The numbers of the distance between logits, by name."""
        maps = {field.name for field in fields(_FeatureMaps)}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in maps}


@dataclass(frozen=True)
class LogitL1(_FeatureMaps):
    """Mean absolute difference of logits (DFAD)."""


@dataclass(frozen=True)
class SoftKl(_FeatureMaps):
    """KL divergence of softened predictions.

    Attributes:
        temperature: Divides the logits.
    """

    temperature: float = 4.0


@dataclass(frozen=True)
class DifferenceEntropy(_FeatureMaps):
    """Negative entropy of the softened difference of logits (AdaDFQ).

    Attributes:
        temperature: Divides the difference.
    """

    temperature: float = 4.0


AnyObjective = LogitL1 | SoftKl | DifferenceEntropy
"""What the student minimizes on one batch."""


@dataclass(frozen=True)
class TwoSource:
    """Adds the losses on new and on replayed images (MAD).

    Attributes:
        replay_weight: Factor of the loss on replayed images.
    """

    replay_weight: float = 1.0


@dataclass(frozen=True)
class MetaStep:
    """Also requires that a step on the new images does not harm the replayed ones (LRA).

    Attributes:
        inner_lr: Learning rate of the virtual step on the new images.
        first_order: Treats the gradient of the virtual step as a constant.
    """

    inner_lr: float = 0.001
    first_order: bool = False


AnyUpdate = TwoSource | MetaStep
"""How new and replayed images enter one student step, other than as one joint batch."""
