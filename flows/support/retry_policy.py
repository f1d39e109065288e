"""Which failures of a task are retried: transient ones only."""

from typing import Any

from prefect import State
from prefect.client.schemas.objects import TaskRun

from targets.tensorrt.diagnosis.failure import BuildError


def _is_transient(_: Any, __: TaskRun, state: State[Any]) -> bool:
    """Return whether a retry may succeed, for example after a full disk or a lost connection."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, BuildError):
        return error.failure.transient
    return isinstance(error, OSError) and not isinstance(error, PermissionError | IsADirectoryError)


RETRIES: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": [10, 60],
    "retry_condition_fn": _is_transient,
}
"""Arguments of `task` for work that is retried after a transient failure."""
