"""A registry, a server and a worker: teachers change, and nobody touches anything else."""

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
    asked = {"filter": {"event": {"name": ["teacher.updated", "teacher.rejected"]}}}
    for event in client._client.post("/events/filter", json=asked).json()["events"]:
        print(event["event"], event["payload"]["reason"])
"""


def released(session, name, count):
    """The releases of a name, once there are so many."""
    store = Store(session.environment["DATAFREE_EDGE_STORE"])
    for _ in range(240):
        if len(found := release_history(store, name)) >= count:
            return found
        time.sleep(1)
    raise AssertionError(session.log())


def watched(session, registry):
    """What the newest look found, by the worker's log."""
    session.run(f"{WATCH}{registry}")
    return re.findall(r"changed: (\w+)", session.log())[-1]


def events(session, count):
    """What was told so far, once it is so much: events travel in the background."""
    script = session.home / "events.py"
    script.write_text(EVENTS)
    for _ in range(20):
        lines = session.run(f"python {script}").splitlines()
        if len(lines) >= count:
            return sorted(lines)
        time.sleep(0.5)
    return sorted(lines)


def entered(folder, name):
    """A registry's entry: the example's teacher, quantized as it is; its weights."""
    (entry := folder / name).mkdir(parents=True)
    weights = entry / "teacher.safetensors"
    shutil.copyfile(EXAMPLE / "teacher.safetensors", weights)
    teacher = {**QUICK["teacher"], "weights": weights.name}
    run = {**QUICK, "name": name, "teacher": teacher, "student": "same"}
    (entry / "run.yaml").write_text(yaml.safe_dump(run))
    return weights


def change(weights):
    """Make another teacher of it, hardly."""
    state = load_file(weights)
    name = sorted(state)[0]
    save_file({**state, name: state[name] * 1.001}, weights)


def test_a_changed_teacher_leads_to_a_new_bundle_in_service(session, tmp_path, same_bundle):
    registry = tmp_path / "registry"
    weights = entered(registry, "watched")

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
    refused, *told = events(session, 3)
    assert refused.startswith("teacher.rejected")
    assert "damaged safetensors file" in refused
    assert told == ["teacher.updated ", "teacher.updated "]
    assert (
        release_history(Store(session.environment["DATAFREE_EDGE_STORE"]), "watched")[-1] == second
    )


@pytest.mark.slow
def test_the_schedule_that_ships_does_so_by_itself(session, tmp_path, same_bundle):
    """Switched on as flows/README.md says, but for every minute in place of every five."""
    shipped = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    (registry,) = [d for d in shipped["deployments"] if d["name"] == "registry"]
    registry["parameters"] = {"registry": str(tmp_path / "registry"), "pause": 1}
    (schedule,) = registry["schedules"]
    assert schedule == {"cron": "*/5 * * * *", "active": False}
    registry["schedules"] = [{"cron": "* * * * *", "active": True}]
    weights = entered(tmp_path / "registry", "scheduled")
    (file := tmp_path / "prefect.yaml").write_text(yaml.safe_dump(shipped))
    session.run(f"prefect --no-prompt deploy --prefect-file {file} --name registry")
    try:
        (first,) = released(session, "scheduled", 1)
        change(weights)
        _, second = released(session, "scheduled", 2)
        assert second.bundle != first.bundle
    finally:
        session.run("prefect --no-prompt deploy --name registry")
