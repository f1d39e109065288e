"""Commands of README and docs/ that need a Prefect server."""

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.support.marked_blocks import SERVER, groups, named, script
from tests.support.quick_run import ROOT

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


def test_one_pasted_block_starts_server_worker_and_all_deployments(session):
    assert named(START).tier == SERVER
    listed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    with temporary_settings({PREFECT_API_URL: session.url}), get_client(sync_client=True) as client:
        deployed = {deployment.name for deployment in client.read_deployments()}
        assert {each["name"] for each in listed} <= deployed
        session.wait_until(
            lambda: [w.status for w in client.read_workers_for_work_pool("local")] == ["ONLINE"]
        )


@pytest.mark.parametrize("name", GROUPS)
def test_server_commands_succeed(name, session, same_bundle, no_automations_left):
    port = int(session.environment["PREFECT_SERVER_API_PORT"])
    session.run_script(script(GROUPS[name], port))
