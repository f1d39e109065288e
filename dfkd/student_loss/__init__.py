"""The student's loss: objectives on one batch, and updates that combine new and replayed images."""

from dfkd.student_loss.table import OBJECTIVES, UPDATES

__all__ = ["OBJECTIVES", "UPDATES"]
