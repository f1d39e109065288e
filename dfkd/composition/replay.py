"""Memories: sources of replayed images, so that the student does not forget earlier images."""

from dataclasses import dataclass

from dfkd.composition.schedule import Schedule


@dataclass(frozen=True)
class _StoredImages:
    """A memory of stored images; replaying them needs no teacher passes."""

    def teacher_passes(self, schedule: Schedule, replayed: int) -> int:
        """Return the number of teacher passes in one round; a backward pass counts as 2."""
        return 0


@dataclass(frozen=True)
class ImagePool(_StoredImages):
    """A ring buffer of single images.

    Attributes:
        capacity: Largest number of images.
        share: Number of replayed images in each student step, divided by the batch size.
    """

    capacity: int
    share: float = 1.0


@dataclass(frozen=True)
class BatchBank(_StoredImages):
    """A ring buffer of whole batches (MB-DFKD).

    Attributes:
        capacity: Largest number of batches.
        share: Number of replayed images in each student step, divided by the batch size.
        every: Number of rounds between two stored batches, in the published schedule.
    """

    capacity: int
    share: float = 1.0
    every: int = 1


@dataclass(frozen=True)
class VaeReplay:
    """A variational autoencoder trained on all earlier images (PRE-DFKD).

    Attributes:
        share: Number of replayed images in each student step, divided by the batch size.
        latent: Size of the autoencoder's latent vector.
        lr: Adam's learning rate for the autoencoder.
        steps: The autoencoder is trained in the first `steps` student steps of each round.
    """

    share: float = 1.0
    latent: int = 1000
    lr: float = 5e-4
    steps: int = 4

    def teacher_passes(self, schedule: Schedule, replayed: int) -> int:
        """Return the number of teacher passes in one round; a backward pass counts as 2.

        Args:
            schedule: The schedule of the recipe.
            replayed: Number of replayed images in each student step.
        """
        sample = 4 * replayed
        new = schedule.student_steps if schedule.shares_a_batch else schedule.fresh_batches
        trained = min(self.steps, new)
        training = sample + 3 * (max(1, schedule.batch // 2) + replayed)
        return schedule.student_steps * sample + trained * training


@dataclass(frozen=True)
class AverageGenerator:
    """A second generator, whose weights are the running average of the generator's (MAD).

    Attributes:
        share: Number of replayed images in each student step, divided by the batch size.
        decay: Decay of the average, which is updated once a round.
    """

    share: float = 1.0
    decay: float = 0.95

    def teacher_passes(self, schedule: Schedule, replayed: int) -> int:
        """Return the number of teacher passes in one round.

        Args:
            schedule: The schedule of the recipe.
            replayed: Number of replayed images in each student step.
        """
        return schedule.student_steps * replayed


AnyMemory = ImagePool | BatchBank | VaeReplay | AverageGenerator
"""The source of replayed images."""
