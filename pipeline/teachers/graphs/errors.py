"""Errors about a teacher's graph."""

from base.errors import InputError

FREE_THE_BATCH = "export the network with a free batch size (dynamic_axes or dynamic_shapes)"
"""What to do about a graph that cannot be converted because its batch size is fixed."""


class GraphError(InputError):
    """A graph that cannot be used as a teacher. Its message lacks the file's name."""
