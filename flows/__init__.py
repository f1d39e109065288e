"""Prefect and nothing else: thin flows over `pipeline`."""
