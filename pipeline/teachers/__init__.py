"""Teachers: weights files, networks by name, checks before a run, the teacher registry."""
