"""An event that cannot be sent is known to whoever tells it."""

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.support.events import tell
from tests.support.session import free_port


def test_an_event_that_nobody_takes_is_an_error():
    nobody = {PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}
    with temporary_settings(nobody), pytest.raises(ConnectionError, match="could not be sent"):
        tell("teacher.updated", "teacher", "some", {})
