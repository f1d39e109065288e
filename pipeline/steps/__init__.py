"""The steps of a run: each a pure function from artifacts to artifacts, one file each."""
