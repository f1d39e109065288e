"""The training loop: its phases, updates, optimizers, objectives, schedule and health checks."""
