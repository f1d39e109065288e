"""Releases: changed by a verdict or by a roll-back, and by nothing else."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from base.errors import InputError
from base.file_digest import file_digest
from pipeline.bundle import check_output
from pipeline.bundle import open_bundle as open_bundle_of_run
from pipeline.bundle.folder_swap import hidden_sibling
from pipeline.releases import fetch_release, publish, release_history, release_names, roll_back
from pipeline.releases.publishing import PublishResult, pending_engines
from pipeline.releases.release_log import chosen_log
from pipeline.store.step_record import digest
from targets.bundle.bundle_files import open_bundle
from tests.support.releases import make_bundle, publish_bundle, released_content


@pytest.fixture
def bundles(tmp_path):
    """Three bundles of one name, by the content of their graphs."""
    return {letter: make_bundle(tmp_path / f"bundle-{letter}", letter) for letter in "abc"}


def test_last_bundle_that_passed_is_released(store, bundles, tmp_path):
    assert publish_bundle(store, bundles["a"])
    assert publish_bundle(store, bundles["b"])
    assert not publish_bundle(store, bundles["b"])
    assert (release_names(store), len(release_history(store, "net"))) == (["net"], 2)
    assert released_content(store, tmp_path) == "b"


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_bundle_that_did_not_pass_leaves_release_unchanged(store, bundles, tmp_path, outcome):
    publish_bundle(store, bundles["a"])
    assert not publish_bundle(store, make_bundle(tmp_path / "worse", "worse", outcome))
    assert released_content(store, tmp_path) == "a"


def test_rolling_back_twice_goes_back_two_releases(store, bundles, tmp_path):
    for each in bundles.values():
        publish_bundle(store, each)
    seen = [released_content(store, tmp_path)]
    for _ in range(2):
        roll_back(store, "net")
        seen.append(released_content(store, tmp_path))
    assert seen == ["c", "b", "a"]
    with pytest.raises(InputError, match="there is no earlier release"):
        roll_back(store, "net")


def test_bundle_released_twice_is_two_steps_of_roll_back(store, bundles, tmp_path):
    for letter in "aba":
        assert publish_bundle(store, bundles[letter])
    roll_back(store, "net")
    assert released_content(store, tmp_path) == "b"
    roll_back(store, "net")
    assert released_content(store, tmp_path) == "a"


def test_bundle_is_withheld_after_roll_back_until_person_releases_it(store, bundles, tmp_path):
    publish_bundle(store, bundles["a"])
    publish_bundle(store, bundles["b"])
    roll_back(store, "net")
    assert not publish_bundle(store, bundles["b"])
    assert released_content(store, tmp_path) == "a"
    b = release_history(store, "net")[1].bundle
    roll_back(store, "net", b[:8])
    assert released_content(store, tmp_path) == "b"
    assert publish_bundle(store, bundles["c"])
    assert publish_bundle(store, bundles["b"])


def test_withheld_student_with_new_engine_is_still_withheld(store, bundles, tmp_path):
    """The bundle's digest is another one, but it contains the student rolled back from."""
    publish_bundle(store, bundles["a"])
    publish_bundle(store, bundles["b"])
    roll_back(store, "net")
    (bundles["b"] / "student.engine").write_text("engine")
    manifest = json.loads((bundles["b"] / "manifest.json").read_text())
    manifest["files"]["student.engine"] = file_digest(bundles["b"] / "student.engine")
    manifest["bundle"] = digest(manifest["files"])
    (bundles["b"] / "manifest.json").write_text(json.dumps(manifest))
    assert publish(store, bundles["b"], manifest["bundle"]) == PublishResult.WITHHELD
    assert released_content(store, tmp_path) == "a"


def test_releasing_later_bundle_by_hand_withholds_nothing(store, bundles):
    publish_bundle(store, bundles["a"])
    publish_bundle(store, bundles["b"])
    roll_back(store, "net")
    roll_back(store, "net", release_history(store, "net")[1].bundle[:8])
    assert publish_bundle(store, bundles["a"])


def test_two_runs_that_publish_same_bundle_at_once_make_one_release(
    store, bundles, tmp_path, monkeypatch
):
    publish_bundle(store, bundles["a"])
    with monkeypatch.context() as at_once:
        at_once.setattr("pipeline.releases.publishing.release_history", lambda store, name: [])
        assert publish_bundle(store, bundles["b"])
        assert publish_bundle(store, bundles["b"])
    assert len(release_history(store, "net")) == 2
    roll_back(store, "net")
    assert released_content(store, tmp_path) == "a"


def test_roll_back_works_on_machine_whose_clock_is_behind(store, bundles, tmp_path, monkeypatch):
    publish_bundle(store, bundles["a"])
    publish_bundle(store, bundles["b"])

    class ClockBehind(datetime):
        @classmethod
        def now(cls, zone):
            return datetime.now(zone) - timedelta(minutes=5)

    monkeypatch.setattr("pipeline.store.store.datetime", ClockBehind)
    roll_back(store, "net")
    assert released_content(store, tmp_path) == "a"


def test_bundle_of_another_run_is_not_published(store, bundles):
    with pytest.raises(InputError, match="holds the bundle of another run"):
        publish(store, bundles["a"], "0" * 64)


def test_roll_back_to_unknown_bundle_is_refused(store, bundles):
    with pytest.raises(InputError, match="net: no release has this name"):
        roll_back(store, "net")
    publish_bundle(store, bundles["a"])
    with pytest.raises(InputError, match="0 other bundles begin with ffff"):
        roll_back(store, "net", "ffff")


def test_fetch_does_not_replace_folder_that_is_no_bundle(store, bundles, tmp_path):
    publish_bundle(store, bundles["a"])
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is not a bundle"):
        fetch_release(store, "net", folder)
    assert (folder / "thesis.tex").exists()


@pytest.mark.parametrize("opens", [open_bundle_of_run, check_output])
def test_bundle_moved_away_by_interrupted_swap_is_restored(bundles, opens):
    bundles["a"].rename(hidden_sibling(bundles["a"], "old"))
    opens(bundles["a"])
    assert open_bundle(bundles["a"])["name"] == "net"


def test_releases_of_two_names_are_independent(store, bundles, tmp_path):
    publish_bundle(store, bundles["a"])
    publish_bundle(store, make_bundle(tmp_path / "other", "other", name="other"))
    assert release_names(store) == ["net", "other"]
    assert released_content(store, tmp_path) == "a"
    assert replace(release_history(store, "other")[0], when="").because == "passed"


PENDING = {"engine": "pending", "because": "no worker", "build": "..."}

BUILT = {"engine": "built", "recommended": "int8"}


@pytest.mark.parametrize(
    ("entry", "released"),
    [
        (BUILT, True),
        ({"int8": {}}, True),  # A graph that was compiled for a CPU on its device.
        (PENDING, False),
        ({**BUILT, "recommended": None}, False),
        ({**BUILT, "unasked": "no worker"}, False),
    ],
    ids=["built", "compiled", "pending", "not passed", "unverified"],
)
def test_bundle_is_released_for_a_target_only_if_its_engine_passed(
    store, tmp_path, entry, released
):
    assert publish_bundle(store, make_bundle(tmp_path / "a", "a", engines={"thor": entry}))
    assert release_names(store) == (["net", "net@thor"] if released else ["net"])


def test_bundle_that_fails_is_released_for_no_target(store, tmp_path):
    engines = {"thor": BUILT}
    assert not publish_bundle(store, make_bundle(tmp_path / "a", "a", "fail", engines=engines))
    assert release_names(store) == []


def test_pending_engine_leaves_the_release_of_its_target_unchanged(store, tmp_path):
    publish_bundle(store, make_bundle(tmp_path / "a", "a", engines={"thor": BUILT}))
    publish_bundle(store, make_bundle(tmp_path / "b", "b", engines={"thor": PENDING}))
    assert released_content(store, tmp_path) == "b"
    assert released_content(store, tmp_path, "net@thor") == "a"
    publish_bundle(store, make_bundle(tmp_path / "c", "b", engines={"thor": BUILT}))
    assert released_content(store, tmp_path, "net@thor") == "b"


def test_targets_are_rolled_back_independently(store, tmp_path):
    for letter in "ab":
        engines = {"thor": BUILT, "orin-nano": PENDING}
        publish_bundle(store, make_bundle(tmp_path / letter, letter, engines=engines))
    roll_back(store, "net@thor")
    assert released_content(store, tmp_path, "net@thor") == "a"
    assert released_content(store, tmp_path) == "b"
    publish_bundle(store, tmp_path / "b")
    assert released_content(store, tmp_path, "net@thor") == "a", "b is withheld there"


def test_log_is_chosen_by_name_and_target(store, tmp_path):
    engines = {"thor": BUILT, "local-cpu@shelf": {"int8": {}}}
    publish_bundle(store, make_bundle(tmp_path / "a", "a", engines=engines))
    assert chosen_log(store, "net", None) == "net"
    assert chosen_log(store, "net", "thor") == "net@thor"
    assert chosen_log(store, "net", "local-cpu@shelf") == "net@local-cpu@shelf"
    with pytest.raises(InputError, match=r"no release for orin; use .* of: local-cpu@shelf, thor"):
        chosen_log(store, "net", "orin")
    assert chosen_log(store, "unknown", None) == "unknown"


def test_only_target_of_a_name_needs_no_option(store, tmp_path):
    publish_bundle(store, make_bundle(tmp_path / "a", "a", engines={"thor": BUILT}))
    (entry,) = store.entries("service/net")
    for target in ("only@thor", "two@thor", "two@orin"):
        store.append(f"service/{target}", {k: v for k, v in entry.items() if k != "when"})
    assert chosen_log(store, "only", None) == "only@thor"
    with pytest.raises(InputError, match="two: has several targets and none for CPUs; use"):
        chosen_log(store, "two", None)


def test_pending_engines_are_named():
    manifest = {"engines": {"thor": PENDING, "orin-nano": BUILT}}
    assert pending_engines(manifest) == ["thor"]
