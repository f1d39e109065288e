"""Files of a step that is not finished: what is kept, and what shows that somebody works at it."""

import time

import pytest

from pipeline.store import step_workspace
from pipeline.store.store import Store


@pytest.fixture
def step(tmp_path):
    return Store(str(tmp_path / "store")).workspace("distill", "ab" * 32)


def test_a_step_that_writes_nothing_shows_life_while_it_is_worked_on(step, monkeypatch):
    monkeypatch.setattr(step_workspace, "HEARTBEAT_S", 0.05)
    seen = [step.write_times()]
    with step.heartbeat():
        for _ in range(3):
            deadline = time.monotonic() + 10
            while step.write_times() == seen[-1]:
                assert time.monotonic() < deadline, "no sign of life"
                time.sleep(0.01)
            seen.append(step.write_times())
    after = step.write_times()
    time.sleep(0.2)
    assert step.write_times() == after


def test_what_works_goes_on_where_no_sign_can_be_kept(step, tmp_path):
    (tmp_path / "store").rename(tmp_path / "aside")
    (tmp_path / "store").write_text("no folder")
    with step.heartbeat():
        done = True
    assert done


def test_a_finished_step_leaves_nothing(step, tmp_path):
    (tmp_path / "state").write_bytes(b"1")
    with step.heartbeat():
        step.save("state", tmp_path / "state")
    step.clear()
    assert step.write_times() == {}
