"""A machine dies during a run: the automations of flows/automations.yaml restart the run."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from flows.distill_and_quantize import VERDICT_STATES
from pipeline.bundle.opening import open_bundle
from tests.support.quick_run import QUICK, ROOT, write_run
from tests.support.session import Session, free_port

WORKER = "prefect worker start --pool local"

HEARTBEAT_TIMEOUT_S = 70
"""Replaces three minutes. A run sends a heartbeat every 30 s."""


@pytest.fixture
def session(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    url = f"http://127.0.0.1:{free_port()}/api"
    started = Session(home, url, home / "store", PREFECT_API_URL=url)
    try:
        started.serve()
        shipped = (ROOT / "flows" / "automations.yaml").read_text()
        assert "within: 180" in shipped
        (home / "automations.yaml").write_text(
            shipped.replace("within: 180", f"within: {HEARTBEAT_TIMEOUT_S}")
        )
        out = started.run(f"prefect automation create --from-file {home}/automations.yaml")
        assert "Created 2 automation(s)" in out
        yield started
    finally:
        started.close()


def state(session):
    """Return the state's name of the only run, and how often it was started."""
    run = json.loads(session.run("prefect flow-run ls --limit 1 --output json"))[0]
    return run["state"]["name"], run["run_count"]


def wait_for(condition, timeout_s):
    for _ in range(timeout_s):
        if condition():
            return
        time.sleep(1)
    raise AssertionError(f"the condition was not met within {timeout_s} s")


def descendants(process):
    """Return the ids of all processes below a process."""
    own = [
        int(number)
        for children in Path(f"/proc/{process}/task").glob("*/children")
        for number in children.read_text().split()
    ]
    return [*own, *(number for each in own for number in descendants(each))]


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["flow", "machine"])
def test_a_killed_run_resumes_from_its_checkpoint(session, tmp_path, killed):
    worker = session.start(WORKER)
    distill = {**QUICK["distill"], "budget": {"steps": 6_000}}
    run_file = write_run(tmp_path, name="killed", distill=distill)
    parameters = f"--param run_file={run_file} --param output={tmp_path / 'bundle'}"
    session.run(f"prefect deployment run distill-and-quantize/local-cpu {parameters}")
    store = Path(session.environment["DATAFREE_EDGE_STORE"])
    wait_for(lambda: list(store.rglob("*.checkpoint")), 200)
    for victim in [*([worker.pid] if killed == "machine" else []), *descendants(worker.pid)]:
        os.kill(victim, signal.SIGKILL)
    assert not list(store.glob("steps/distill/*.json")), "the step finished before it was killed"
    if killed == "machine":
        session.start(WORKER)
    wait_for(lambda: state(session)[0] in VERDICT_STATES, 400)
    assert open_bundle(tmp_path / "bundle")["verdict"]
    _, times = state(session)
    assert times == 2
    logs = "".join(log.read_text() for log in session.home.glob("*.log"))
    assert "resuming from a checkpoint" in logs
