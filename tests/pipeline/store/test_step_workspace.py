"""Files of an unfinished step: what is kept, and the heartbeat of the process that runs it."""

import os
import time
from socket import gethostname

import pytest

from pipeline.store import step_workspace
from pipeline.store.store import Store


@pytest.fixture
def step(tmp_path):
    return Store(str(tmp_path / "store")).workspace("distill", "ab" * 32)


def test_heartbeat_changes_write_times_until_it_ends(step, monkeypatch):
    monkeypatch.setattr(step_workspace, "HEARTBEAT_S", 0.05)
    seen = [step.write_times()]
    with step.heartbeat():
        for _ in range(3):
            deadline = time.monotonic() + 10
            while step.write_times() == seen[-1]:
                assert time.monotonic() < deadline, "no heartbeat"
                time.sleep(0.01)
            seen.append(step.write_times())
    after = step.write_times()
    time.sleep(0.2)
    assert step.write_times() == after


def test_owner_is_the_process_that_works_on_the_step(step, tmp_path):
    assert step.owner() == "another run"
    with step.heartbeat():
        while step.owner() == "another run":
            time.sleep(0.01)
        assert step.owner().startswith(f"another run (process {os.getpid()} on {gethostname()} ")
    (tmp_path / "alive").write_text("[]")
    step.save("alive", tmp_path / "alive")
    assert step.owner() == "another run"


def test_heartbeat_that_cannot_be_written_does_not_stop_the_step(step, tmp_path):
    (tmp_path / "store").rename(tmp_path / "aside")
    (tmp_path / "store").write_text("no folder")
    with step.heartbeat():
        done = True
    assert done


def test_clear_deletes_all_files(step, tmp_path):
    (tmp_path / "state").write_bytes(b"1")
    with step.heartbeat():
        step.save("state", tmp_path / "state")
    step.clear()
    assert step.write_times() == {}
