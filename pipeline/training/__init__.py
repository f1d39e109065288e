"""Training as a part of a run: what the steps train, with checkpoints, progress and metrics.

`progress` and `metrics` import no torch.
"""

__all__ = [
    "checkpoint",
    "distillation",
    "metrics",
    "probe_images",
    "progress",
    "resumable_training",
    "warm_up",
]
