"""An event arrives, or whoever tells it knows that it did not."""

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from benchmarks.session import free_port
from flows.events import tell


def test_an_event_that_nobody_takes_is_an_error():
    nobody = {PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}
    with temporary_settings(nobody), pytest.raises(ConnectionError, match="takes no event"):
        tell("teacher.updated", "teacher", "some", {})
