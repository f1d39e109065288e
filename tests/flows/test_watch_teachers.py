"""A registry: changed teachers lead to new releases without further action."""

import re
import shutil
import time

import pytest
import yaml
from safetensors.torch import load_file, save_file

from pipeline.releases.release_log import release_history
from pipeline.store.store import Store
from tests.support.quick_run import EXAMPLE, QUICK, ROOT

pytestmark = pytest.mark.server

WATCH = "prefect deployment run watch-teachers/registry --watch --param pause=1 --param registry="

EVENTS = """
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    query = {"filter": {"event": {"name": ["teacher.updated", "teacher.rejected"]}}}
    for event in client._client.post("/events/filter", json=query).json()["events"]:
        print(event["event"], event["payload"]["reason"])
"""


def released(session, name, count):
    """Return the releases of a name once there are `count`."""
    store = Store(session.environment["DATAFREE_EDGE_STORE"])
    for _ in range(240):
        if len(found := release_history(store, name)) >= count:
            return found
        time.sleep(1)
    raise AssertionError(session.log())


def watched(session, registry):
    """Run the flow and return the names of changed teachers, from the worker's log."""
    session.run(f"{WATCH}{registry}")
    return re.findall(r"changed: (\w+)", session.log())[-1]


def events(session, count):
    """Return the events so far, sorted, once there are `count` or ten seconds have passed."""
    script = session.home / "events.py"
    script.write_text(EVENTS)
    for _ in range(20):
        lines = session.run(f"python {script}").splitlines()
        if len(lines) >= count:
            return sorted(lines)
        time.sleep(0.5)
    return sorted(lines)


def add_teacher(folder, name):
    """Add the example's teacher to a registry; return the path of its weights."""
    (entry := folder / name).mkdir(parents=True)
    weights = entry / "teacher.safetensors"
    shutil.copyfile(EXAMPLE / "teacher.safetensors", weights)
    teacher = {**QUICK["teacher"], "weights": weights.name}
    run = {**QUICK, "name": name, "teacher": teacher, "student": "same"}
    (entry / "run.yaml").write_text(yaml.safe_dump(run))
    return weights


def change(weights):
    """Change the weights a little."""
    state = load_file(weights)
    name = sorted(state)[0]
    save_file({**state, name: state[name] * 1.001}, weights)


def test_a_changed_teacher_leads_to_a_new_release(session, tmp_path, same_bundle):
    registry = tmp_path / "registry"
    weights = add_teacher(registry, "watched")

    assert watched(session, registry) == "watched"
    (first,) = released(session, "watched", 1)
    assert events(session, 1) == ["teacher.updated "]

    save_file(load_file(weights), weights)
    assert watched(session, registry) == "none"

    change(weights)
    assert watched(session, registry) == "watched"
    _, second = released(session, "watched", 2)
    assert second.bundle != first.bundle

    weights.write_bytes(weights.read_bytes()[:-100])
    assert watched(session, registry) == "watched"
    rejected, *updated = events(session, 3)
    assert rejected.startswith("teacher.rejected")
    assert "damaged safetensors file" in rejected
    assert updated == ["teacher.updated ", "teacher.updated "]
    store = Store(session.environment["DATAFREE_EDGE_STORE"])
    assert release_history(store, "watched")[-1] == second


@pytest.mark.slow
def test_the_included_schedule_releases_changed_teachers(session, tmp_path, same_bundle):
    """The schedule of prefect.yaml, active and with one minute instead of five."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    (registry,) = [d for d in deployments["deployments"] if d["name"] == "registry"]
    registry["parameters"] = {"registry": str(tmp_path / "registry"), "pause": 1}
    (schedule,) = registry["schedules"]
    assert schedule == {"cron": "*/5 * * * *", "active": False}
    registry["schedules"] = [{"cron": "* * * * *", "active": True}]
    weights = add_teacher(tmp_path / "registry", "scheduled")
    (file := tmp_path / "prefect.yaml").write_text(yaml.safe_dump(deployments))
    session.run(f"prefect --no-prompt deploy --prefect-file {file} --name registry")
    try:
        (first,) = released(session, "scheduled", 1)
        change(weights)
        _, second = released(session, "scheduled", 2)
        assert second.bundle != first.bundle
    finally:
        session.run("prefect --no-prompt deploy --name registry")
