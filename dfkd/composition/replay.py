"""Replay: what the student learns from again, so that it does not forget."""

from dataclasses import dataclass

from dfkd.composition.schedule import Schedule


@dataclass(frozen=True)
class _StoredImages:
    """Stored images cost no teacher passes when they are replayed."""

    def teacher_passes(self, schedule: Schedule, replayed: int) -> int:
        """Return the teacher passes of one round; a backward pass counts two more."""
        return 0


@dataclass(frozen=True)
class ImagePool(_StoredImages):
    """A ring buffer of single images.

    Attributes:
        capacity: Images.
        share: Replayed images in each student step, as a share of a batch.
    """

    capacity: int
    share: float = 1.0


@dataclass(frozen=True)
class BatchBank(_StoredImages):
    """A ring buffer of whole batches (MB-DFKD).

    Attributes:
        capacity: Batches.
        share: Replayed images in each student step, as a share of a batch.
        every: Rounds of the published schedule between two stored batches.
    """

    capacity: int
    share: float = 1.0
    every: int = 1


@dataclass(frozen=True)
class VaeReplay:
    """A variational autoencoder trained on all earlier images (PRE-DFKD).

    Attributes:
        share: Replayed images in each student step, as a share of a batch.
        latent: Size of the autoencoder's latent vector.
        lr: Adam's learning rate for the autoencoder.
        steps: Student steps of a round in which the autoencoder is trained too.
    """

    share: float = 1.0
    latent: int = 1000
    lr: float = 5e-4
    steps: int = 4

    def teacher_passes(self, schedule: Schedule, replayed: int) -> int:
        """Return the teacher passes of one round; a backward pass counts two more.

        Args:
            schedule: The recipe's.
            replayed: Replayed images in each student step.
        """
        sample = 4 * replayed
        new = schedule.student_steps if schedule.shares_a_batch else schedule.fresh_batches
        trained = min(self.steps, new)
        training = sample + 3 * (max(1, schedule.batch // 2) + replayed)
        return schedule.student_steps * sample + trained * training


@dataclass(frozen=True)
class AverageGenerator:
    """The running average of the generator's weights, as a second generator (MAD).

    Attributes:
        share: Replayed images in each student step, as a share of a batch.
        decay: Of the average, once a round.
    """

    share: float = 1.0
    decay: float = 0.95

    def teacher_passes(self, schedule: Schedule, replayed: int) -> int:
        """Return the teacher passes of one round.

        Args:
            schedule: The recipe's.
            replayed: Replayed images in each student step.
        """
        return schedule.student_steps * replayed


AnyMemory = ImagePool | BatchBank | VaeReplay | AverageGenerator
"""The source of replayed images."""
