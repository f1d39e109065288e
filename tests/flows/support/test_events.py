"""Sending events."""

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.support.events import send_event
from tests.support.session import free_port


def test_an_event_that_cannot_be_sent_is_an_error():
    no_server = {PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}
    with temporary_settings(no_server), pytest.raises(ConnectionError, match="could not be sent"):
        send_event("teacher.updated", "teacher", "some", {})
