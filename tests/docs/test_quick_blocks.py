"""Commands of README and docs/ that take seconds, run in a copy of the project."""

import pytest

from tests.support.checkout import copy_project
from tests.support.marked_blocks import QUICK, groups, script
from tests.support.session import Session, free_port

GROUPS = groups(QUICK)

PAGES_ABOUT_PARTS = "add-"
"""Groups that run pytest or a command on the whole project: together they take a minute."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.server if name.startswith(PAGES_ABOUT_PARTS) else ())
        for name in GROUPS
    ],
)
def test_quick_commands_succeed(name, tmp_path, quick_store):
    project = copy_project(tmp_path / "project")
    (home := tmp_path / "home").mkdir()
    session = Session(
        home,
        f"http://127.0.0.1:{free_port()}/api",
        quick_store,
        folder=project,
        PYTHONPATH=str(project),
    )
    try:
        session.run_script(script(GROUPS[name]))
    finally:
        session.close()
