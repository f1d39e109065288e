"""A copy of a healthy state that a run can be rolled back to."""

import copy
from typing import Any


class Snapshot:
    """A copy of a healthy state of networks, optimizers and memory."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = copy.deepcopy(state)
