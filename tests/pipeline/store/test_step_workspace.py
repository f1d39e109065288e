"""Files of a step that is not finished: what is kept, and what shows that somebody works at it."""

import time

import pytest

from pipeline.store import step_workspace as unfinished
from pipeline.store.store import Store


@pytest.fixture
def step(tmp_path):
    return Store(str(tmp_path / "store")).unfinished("distill", "ab" * 32)


def test_a_step_that_writes_nothing_shows_life_while_it_is_worked_on(step, monkeypatch):
    monkeypatch.setattr(unfinished, "BEAT", 0.05)
    seen = [step.signs()]
    with step.worked_on():
        for _ in range(3):
            deadline = time.monotonic() + 10
            while step.signs() == seen[-1]:
                assert time.monotonic() < deadline, "no sign of life"
                time.sleep(0.01)
            seen.append(step.signs())
    after = step.signs()
    time.sleep(0.2)
    assert step.signs() == after


def test_what_works_goes_on_where_no_sign_can_be_kept(step, tmp_path):
    (tmp_path / "store").rename(tmp_path / "aside")
    (tmp_path / "store").write_text("no folder")
    with step.worked_on():
        done = True
    assert done


def test_a_finished_step_leaves_nothing(step, tmp_path):
    (tmp_path / "state").write_bytes(b"1")
    with step.worked_on():
        step.keep("state", tmp_path / "state")
    step.clear()
    assert step.signs() == {}
