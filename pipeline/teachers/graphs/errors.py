"""Errors about a teacher's graph."""

from base.errors import InputError


class GraphError(InputError):
    """A graph that cannot be used as a teacher. Its message lacks the file's name."""
