"""The catalogue of targets, what this machine is, and what it cannot run faster than."""
