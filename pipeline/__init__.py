"""One run: from a teacher and a run file to a bundle with a verdict. No Prefect."""
