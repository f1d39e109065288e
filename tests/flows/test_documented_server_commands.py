"""Commands of README and docs/ that need a Prefect server."""

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.support.marked_blocks import SERVER, groups, named, script

pytestmark = pytest.mark.server

START = "prefect-server"
"""Name of the block that starts the server; the fixture `session` runs it."""

GROUPS = {
    name: rest
    for name, found in groups(SERVER).items()
    if (rest := [block for block in found if block.name != START])
}


@pytest.fixture
def no_automations_left(session):
    """Delete the automations that a test creates: the other tests' server has none."""
    yield
    with temporary_settings({PREFECT_API_URL: session.url}), get_client(sync_client=True) as client:
        for automation in client.read_automations():
            if automation.name.startswith("datafree-edge "):
                client.delete_automation(automation.id)


def test_one_block_starts_the_server():
    assert named(START).tier == SERVER


@pytest.mark.parametrize("name", GROUPS)
def test_server_commands_succeed(name, session, same_bundle, no_automations_left):
    port = int(session.environment["PREFECT_SERVER_API_PORT"])
    session.run_script(script(GROUPS[name], port))
