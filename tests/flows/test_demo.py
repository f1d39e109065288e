"""`make demo` uses no Prefect server of the user, unless it is asked to."""

import os
import shlex
import subprocess
import sys

import pytest

from tests.support.quick_run import ROOT

SHOW = "from prefect.settings import get_current_settings as s; print(s().api.url)"

USERS = "http://127.0.0.1:9/api"


def demo_command(*variables):
    done = subprocess.run(
        ["make", "--dry-run", "demo", *variables],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    command = done.stdout.replace("\\\n", " ").splitlines()[-1]
    before, _, _ = command.partition(" -m flows.distill_and_quantize")
    return [sys.executable if word.endswith("/python") else word for word in shlex.split(before)]


@pytest.mark.parametrize(("variables", "url"), [((), "None"), (("SERVER=1",), USERS)])
def test_demo_ignores_the_configured_server(tmp_path, variables, url):
    (tmp_path / "profiles.toml").write_text(
        f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{USERS}"\n'
    )
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": USERS}
    command = ["env", *demo_command(*variables), "-c", SHOW]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == url
