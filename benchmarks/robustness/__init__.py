"""Robustness: runs that are killed or lose a service, and the cost of runs that reuse all steps."""
