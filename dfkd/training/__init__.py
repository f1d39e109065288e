"""The training loop: its two phases, the length of a run, health checks and round reports."""
