"""The training loop run as a step: checkpoints, progress, metrics."""
