"""What is in service: moved by a verdict alone, and back by one command."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from base.errors import InputError
from base.file_digest import file_digest
from pipeline.bundle import bundle as bundle_module
from pipeline.bundle.folder_swap import beside
from pipeline.releases.releases import Published, fetch, history, names, publish, roll_back
from pipeline.store.step_record import digest
from targets.bundle.bundle_files import open_bundle
from tests.support.releases import bundle, current, served


@pytest.fixture
def made(tmp_path):
    """Bundles by a letter."""
    return {letter: bundle(tmp_path / f"bundle-{letter}", letter) for letter in "abc"}


def test_the_last_that_passed_is_in_service(store, made, tmp_path):
    assert served(store, made["a"])
    assert served(store, made["b"])
    assert not served(store, made["b"])
    assert (names(store), len(history(store, "net"))) == (["net"], 2)
    assert current(store, tmp_path) == "b"


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_what_did_not_pass_leaves_the_last_good_one(store, made, tmp_path, outcome):
    served(store, made["a"])
    assert not served(store, bundle(tmp_path / "worse", "worse", outcome))
    assert current(store, tmp_path) == "a"


def test_rolling_back_twice_goes_back_two_steps(store, made, tmp_path):
    for each in made.values():
        served(store, each)
    seen = [current(store, tmp_path)]
    for _ in range(2):
        roll_back(store, "net")
        seen.append(current(store, tmp_path))
    assert seen == ["c", "b", "a"]
    with pytest.raises(InputError, match="none was before it"):
        roll_back(store, "net")


def test_a_teacher_that_came_back_is_one_step_of_its_own(store, made, tmp_path):
    for letter in "aba":
        assert served(store, made[letter])
    roll_back(store, "net")
    assert current(store, tmp_path) == "b"
    roll_back(store, "net")
    assert current(store, tmp_path) == "a"


def test_what_was_rolled_back_from_stays_out_until_a_person_wants_it(store, made, tmp_path):
    served(store, made["a"])
    served(store, made["b"])
    roll_back(store, "net")
    assert not served(store, made["b"])
    assert current(store, tmp_path) == "a"
    b = history(store, "net")[1].bundle
    roll_back(store, "net", b[:8])
    assert current(store, tmp_path) == "b"
    assert served(store, made["c"])
    assert served(store, made["b"])


def test_an_engine_that_came_later_brings_no_student_back(store, made, tmp_path):
    """The bundle is another one, what was rolled back from is in it all the same."""
    served(store, made["a"])
    served(store, made["b"])
    roll_back(store, "net")
    (made["b"] / "student.engine").write_text("engine")
    manifest = json.loads((made["b"] / "manifest.json").read_text())
    manifest["files"]["student.engine"] = file_digest(made["b"] / "student.engine")
    manifest["bundle"] = digest(manifest["files"])
    (made["b"] / "manifest.json").write_text(json.dumps(manifest))
    assert publish(store, made["b"], manifest["bundle"]) == Published.ASIDE
    assert current(store, tmp_path) == "a"


def test_going_forward_again_sets_nothing_aside(store, made, tmp_path):
    served(store, made["a"])
    served(store, made["b"])
    roll_back(store, "net")
    roll_back(store, "net", history(store, "net")[1].bundle[:8])
    assert served(store, made["a"])


def test_two_runs_that_put_in_the_same_at_once_are_one_release(store, made, tmp_path, monkeypatch):
    served(store, made["a"])
    with monkeypatch.context() as at_once:
        at_once.setattr("pipeline.releases.releases.history", lambda store, name: [])
        assert served(store, made["b"])
        assert served(store, made["b"])
    assert len(history(store, "net")) == 2
    roll_back(store, "net")
    assert current(store, tmp_path) == "a"


def test_a_clock_that_is_behind_does_not_hide_what_was_done(store, made, tmp_path, monkeypatch):
    served(store, made["a"])
    served(store, made["b"])

    class Behind(datetime):
        @classmethod
        def now(cls, zone):
            return datetime.now(zone) - timedelta(minutes=5)

    monkeypatch.setattr("pipeline.store.store.datetime", Behind)
    roll_back(store, "net")
    assert current(store, tmp_path) == "a"


def test_another_runs_bundle_is_not_taken_for_ones_own(store, made):
    with pytest.raises(InputError, match="another run's bundle lies there"):
        publish(store, made["a"], "0" * 64)


def test_a_bundle_that_never_was_cannot_be_put_back(store, made):
    with pytest.raises(InputError, match="net: nothing is in service"):
        roll_back(store, "net")
    served(store, made["a"])
    with pytest.raises(InputError, match="0 others begin with ffff"):
        roll_back(store, "net", "ffff")


def test_what_is_fetched_is_checked_and_takes_no_strangers_place(store, made, tmp_path):
    served(store, made["a"])
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is no bundle"):
        fetch(store, "net", stranger)
    assert (stranger / "thesis.tex").exists()


@pytest.mark.parametrize("opens", [bundle_module.open_bundle, bundle_module.check_output])
def test_a_bundle_that_stepped_aside_for_one_that_never_came_is_back(made, opens):
    made["a"].rename(beside(made["a"], "old"))
    opens(made["a"])
    assert open_bundle(made["a"])["name"] == "net"


def test_releases_of_two_names_do_not_meet(store, made, tmp_path):
    served(store, made["a"])
    served(store, bundle(tmp_path / "other", "other", name="other"))
    assert names(store) == ["net", "other"]
    assert current(store, tmp_path) == "a"
    assert replace(history(store, "other")[0], when="").because == "passed"
