"""One Prefect server and one worker for all tests, started by the documented commands."""

import pytest

from tests.support.marked_blocks import named
from tests.support.session import Session, free_port


@pytest.fixture(scope="package")
def session(tmp_path_factory, quick_store):
    """A session with a server, a worker of the pool `local` and all deployments."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    started = Session(tmp_path_factory.mktemp("home"), url, quick_store)
    try:
        started.paste(named("prefect-server").text.replace("4200", str(port)))
        yield started
    finally:
        started.close()
