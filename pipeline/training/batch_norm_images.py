"""Calibration images made by matching the teacher's batch-norm statistics (ZeroQ)."""

from torch import Tensor, nn

from dfkd.memory.pool import ImagePool
from dfkd.recipes import ZEROQ
from dfkd.training.budget import Plan
from pipeline.steps.step_context import Work
from pipeline.training.resumable_training import make_loop, train


def make_batch_norm_images(work: Work, teacher: nn.Module) -> tuple[Tensor, dict[str, object]]:
    """Optimise one batch of images until its statistics match those of the teacher's batch norms.

    Args:
        work: The step that needs the images.
        teacher: A frozen network with batch norms.

    Returns:
        (N, C, H, W) normalised images, and the notes of the training.
    """
    loop = make_loop(
        ZEROQ,
        work.config,
        teacher=teacher,
        generator=None,
        student=None,
        plan=Plan(ZEROQ.schedule.warmup_rounds, 0),
        seed=work.config.seed,
    )
    notes = train(loop, "quantize: images", work)
    assert isinstance(loop.memory, ImagePool)
    return loop.memory.images, notes
