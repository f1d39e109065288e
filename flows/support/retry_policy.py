"""What is tried again: that which may end otherwise, and never that which cannot."""

from typing import Any

from prefect import State
from prefect.client.schemas.objects import TaskRun

from targets.tensorrt.diagnosis.failures import BuildError


def _may_pass(_: Any, __: TaskRun, state: State[Any]) -> bool:
    """A full disk, memory, a link that broke; not what a person has to allow or to move."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, BuildError):
        return error.failure.transient
    return isinstance(error, OSError) and not isinstance(error, PermissionError | IsADirectoryError)


TRIES: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": [10, 60],
    "retry_condition_fn": _may_pass,
}
