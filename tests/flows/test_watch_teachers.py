"""A registry, a server and a worker: teachers change, and nobody touches anything else."""

import re
import shutil
import time

import yaml
from safetensors.torch import load_file, save_file

from benchmarks.quick_run import EXAMPLE, QUICK
from pipeline.service import history
from pipeline.store import Store

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
        if len(found := history(store, name)) >= count:
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


def test_a_changed_teacher_leads_to_a_new_bundle_in_service(session, tmp_path, same_bundle):
    entry = tmp_path / "registry" / "watched"
    entry.mkdir(parents=True)
    weights = entry / "teacher.safetensors"
    shutil.copyfile(EXAMPLE / "teacher.safetensors", weights)
    teacher = {**QUICK["teacher"], "weights": weights.name}
    run = {**QUICK, "name": "watched", "teacher": teacher, "student": "same"}
    (entry / "run.yaml").write_text(yaml.safe_dump(run))
    registry = entry.parent

    assert watched(session, registry) == "watched"
    (first,) = released(session, "watched", 1)
    assert events(session, 1) == ["teacher.updated "]

    save_file(load_file(weights), weights)
    assert watched(session, registry) == "none"

    state = load_file(weights)
    name = sorted(state)[0]
    save_file({**state, name: state[name] * 1.001}, weights)
    assert watched(session, registry) == "watched"
    _, second = released(session, "watched", 2)
    assert second.bundle != first.bundle

    weights.write_bytes(weights.read_bytes()[:-100])
    assert watched(session, registry) == "watched"
    refused, *told = events(session, 3)
    assert refused.startswith("teacher.rejected")
    assert "damaged safetensors file" in refused
    assert told == ["teacher.updated ", "teacher.updated "]
    assert history(Store(session.environment["DATAFREE_EDGE_STORE"]), "watched")[-1] == second
