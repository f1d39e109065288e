"""Prefect flows: one file a flow. Only this package imports Prefect; the work is in `pipeline`."""
