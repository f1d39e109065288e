"""Which failures are retried."""

import pytest

from base.errors import InputError
from flows.support.retry_policy import RETRIES
from pipeline.store.storage import StoreUnreachableError
from targets.tensorrt.diagnosis.failure import BuildError, Failure


class FailedState:
    def __init__(self, error):
        self.error = error

    def result(self, raise_on_failure):
        assert not raise_on_failure
        return self.error


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (OSError(28, "No space left on device"), True),
        (StoreUnreachableError("gone"), True),
        (NotADirectoryError("an unmounted share"), True),
        (PermissionError("denied"), False),
        (IsADirectoryError("a folder"), False),
        (InputError("unknown key"), False),
        (BuildError(Failure("out-of-memory", "", "", transient=True)), True),
        (BuildError(Failure("unsupported-node", "", "")), False),
        (ZeroDivisionError(), False),
    ],
)
def test_only_transient_failures_are_retried(error, is_retried):
    assert RETRIES["retry_condition_fn"](None, None, FailedState(error)) is is_retried
