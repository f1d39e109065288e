"""Commands of README and docs/ that need a Prefect server."""

import pytest

from tests.support.marked_blocks import SERVER, groups, named, script

pytestmark = pytest.mark.server

START = "prefect-server"
"""Name of the block that starts the server; the fixture `session` runs it."""


def _remaining():
    every = {name: [b for b in found if b.name != START] for name, found in groups(SERVER).items()}
    return {name: found for name, found in every.items() if found}


GROUPS = _remaining()


def test_the_start_block_is_documented_once():
    assert named(START).tier == SERVER


@pytest.mark.parametrize("name", GROUPS)
def test_server_commands_succeed(name, session, same_bundle):
    port = int(session.environment["PREFECT_SERVER_API_PORT"])
    session.run_script(script(GROUPS[name], port))
