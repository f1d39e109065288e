"""The student's loss, and how one student step combines new and replayed images."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class _FeatureMaps:
    """Weights of distances between feature maps, which are added to the distance between logits.

    Attributes:
        attention: Weight of the distance between attention maps (ZSKT); 0 leaves it out.
        stages: Weight of the distance between the outputs of the stages, channel by channel
            (FitNets); 0 leaves it out. The student's stages must be as wide as the teacher's.
    """

    attention: float = 0.0
    stages: float = 0.0

    @property
    def compares_maps(self) -> bool:
        """Whether the objective needs feature maps besides the logits."""
        return bool(self.attention or self.stages)

    @property
    def logit_options(self) -> dict[str, float]:
        """The parameters of the distance between logits, by name."""
        maps = {field.name for field in fields(_FeatureMaps)}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in maps}


@dataclass(frozen=True)
class LogitL1(_FeatureMaps):
    """Mean absolute difference of logits (DFAD)."""


@dataclass(frozen=True)
class SoftKl(_FeatureMaps):
    """KL divergence of softened predictions.

    Attributes:
        temperature: The divisor of the logits.
    """

    temperature: float = 4.0


@dataclass(frozen=True)
class DifferenceEntropy(_FeatureMaps):
    """Negative entropy of the softened difference of logits (AdaDFQ).

    Attributes:
        temperature: The divisor of the difference.
    """

    temperature: float = 4.0


AnyObjective = LogitL1 | SoftKl | DifferenceEntropy
"""The student's loss on one batch."""


@dataclass(frozen=True)
class TwoSource:
    """Adds the losses on new and on replayed images (MAD).

    Attributes:
        replay_weight: Factor of the loss on replayed images.
    """

    replay_weight: float = 1.0


@dataclass(frozen=True)
class MetaStep:
    """Adds the loss on replayed images after a virtual step on the new images (LRA).

    Attributes:
        inner_lr: Learning rate of the virtual step on the new images.
        first_order: Whether the gradient of the virtual step is treated as a constant.
    """

    inner_lr: float = 0.001
    first_order: bool = False


AnyUpdate = TwoSource | MetaStep
"""How one student step uses new and replayed images, if they are not joined into one batch."""
