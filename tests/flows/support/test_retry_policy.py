"""What is tried again."""

import pytest

from base.errors import InputError
from flows.support.retry_policy import TRIES
from pipeline.store.storage import StoreUnreachableError
from targets.tensorrt.diagnosis.failures import BuildError, Failure


class Ended:
    def __init__(self, error):
        self.error = error

    def result(self, raise_on_failure):
        assert not raise_on_failure
        return self.error


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OSError(28, "No space left on device"), True),
        (StoreUnreachableError("gone"), True),
        (NotADirectoryError("a share that is away"), True),
        (PermissionError("not yours"), False),
        (IsADirectoryError("a folder"), False),
        (InputError("say it otherwise"), False),
        (BuildError(Failure("out-of-memory", "", "", transient=True)), True),
        (BuildError(Failure("unsupported-node", "", "")), False),
        (ZeroDivisionError(), False),
    ],
)
def test_only_what_may_end_otherwise_is_tried_again(error, again):
    assert TRIES["retry_condition_fn"](None, None, Ended(error)) is again
