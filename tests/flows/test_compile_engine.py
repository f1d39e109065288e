"""What a device does with an order that it has built before."""

import copy
import json
import os
import time

import pytest
from prefect.logging import disable_run_logger

from flows import compile_engine as flow
from pipeline.releases import release_names
from pipeline.releases.engine_orders import ENGINE_STEP
from pipeline.store.step_record import StepRecord
from pipeline.store.store import Store
from targets.catalogue.catalogue import find_target
from targets.on_device.build_environment import build_environment
from tests.pipeline.releases.test_awaited_engines import KEY as WAITED_FOR
from tests.pipeline.releases.test_awaited_engines import run_ends, send_engine

ORIN = {
    "device": {
        "target": "orin-nano-8",
        "l4t": "36.4.3",
        "jetpack": "6.2",
        "cuda": "12.6.68",
        "compute_capability": "8.7",
        "power_mode": "25W",
        "opset": 20,
        "has_int8": True,
    },
    "builder": [10, 3, 0],
    "trtexec": [10, 3, 0],
    "untold": [],
}

KEY = "1" * 64


def changed(name):
    """Return the same machine with another value in one field."""
    other = copy.deepcopy(ORIN)
    section = other["device"] if name in other["device"] else other
    section[name] = "other"
    return other


@pytest.fixture
def store(tmp_path):
    """A store with an engine that the device has built."""
    made = Store(str(tmp_path / "store"))
    made.record(ENGINE_STEP, KEY, StepRecord({}, json.loads(json.dumps({"machine": ORIN}))))
    return made


def test_an_unchanged_device_does_not_build_again(store, monkeypatch):
    monkeypatch.setattr(flow, "build_environment", lambda _: ORIN)
    assert flow._is_built.fn(store.url, KEY, "orin-nano-8")
    assert not flow._is_built.fn(store.url, "2" * 64, "orin-nano-8")


@pytest.mark.parametrize("name", [*ORIN["device"], "builder", "trtexec"])
def test_a_changed_device_builds_again(store, monkeypatch, name):
    monkeypatch.setattr(flow, "build_environment", lambda _: changed(name))
    assert not flow._is_built.fn(store.url, KEY, "orin-nano-8")


def test_a_device_with_unknown_fields_builds_again(tmp_path, monkeypatch):
    partly_known = {**ORIN, "untold": ["power_mode"]}
    store = Store(str(tmp_path / "store"))
    store.record(ENGINE_STEP, KEY, StepRecord({}, {"machine": partly_known}))
    monkeypatch.setattr(flow, "build_environment", lambda _: partly_known)
    assert not flow._is_built.fn(store.url, KEY, "orin-nano-8")


def test_a_cpu_is_identified_by_its_runtime():
    assert build_environment(find_target("local-cpu")).keys() == {"onnxruntime", "untold"}


def test_finished_and_old_orders_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(flow, "WORK_FOLDER", tmp_path)
    for name in ("done", "old", "failed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "golden.npz").write_bytes(b"1")
    modified = time.time() - (flow.KEEP_DAYS + 1) * 24 * 3600
    os.utime(tmp_path / "old", (modified, modified))
    flow._delete_finished(tmp_path / "done")
    assert [path.name for path in tmp_path.iterdir()] == ["failed"]


def test_the_device_releases_the_bundle_that_waits(tmp_path):
    """The task is called as the flow calls it after sending the engine."""
    store = Store(str(tmp_path / "store"))
    run_ends(store, tmp_path / "bundle")
    send_engine(store, tmp_path / "built")
    with disable_run_logger():
        flow._release.fn(store.url, WAITED_FOR)
    assert release_names(store) == ["net", "net@thor"]
