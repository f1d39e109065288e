"""Runs: from a teacher and a run file to a bundle with a verdict. Nothing here uses Prefect."""
