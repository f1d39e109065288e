"""What is in service: moved by a verdict alone, and back by one command."""

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from pipeline import bundle as bundle_module
from pipeline import garbage as garbage_module
from pipeline.errors import InputError
from pipeline.files import Files
from pipeline.folder_swap import beside
from pipeline.garbage import collect, find_garbage
from pipeline.service import Published, fetch, history, names, publish, roll_back
from pipeline.step_record import StepRecord, digest
from pipeline.store import Store
from targets.bundle_files import open_bundle
from targets.durable_files import file_digest


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    url = str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path.name}"
    return Store(url)


def bundle(folder, content, outcome="pass", name="net"):
    """A bundle as far as service looks at it."""
    (folder / "graphs").mkdir(parents=True)
    (folder / "graphs" / "student.onnx").write_text(content)
    (folder / "report.html").write_text(f"<p>{content}")
    files = {"graphs/student.onnx": file_digest(folder / "graphs" / "student.onnx")}
    manifest = {
        "name": name,
        "bundle": digest(files),
        "teacher": {"fingerprint": "f" * 64},
        **{"run": {}, "targets": {}, "engines": {}},
        "verdict": {"outcome": outcome, "agreement": 0.95},
        "files": files,
        "report": file_digest(folder / "report.html"),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def served(store, folder):
    """Whether a bundle came into service."""
    made = json.loads((folder / "manifest.json").read_text())["bundle"]
    return publish(store, folder, made) == Published.NOW


@pytest.fixture
def made(tmp_path):
    """Bundles by a letter."""
    return {letter: bundle(tmp_path / f"bundle-{letter}", letter) for letter in "abc"}


def current(store, tmp_path, name="net"):
    fetch(store, name, tmp_path / "current")
    open_bundle(tmp_path / "current")
    assert (tmp_path / "current" / "report.html").exists()
    return (tmp_path / "current" / "graphs" / "student.onnx").read_text()


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
        at_once.setattr("pipeline.service.history", lambda store, name: [])
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

    monkeypatch.setattr("pipeline.store.datetime", Behind)
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


def old(monkeypatch, days=40):
    """As if all that is written so far had been written long ago."""
    modified = Files.modified
    shift = timedelta(days=days)
    monkeypatch.setattr(Files, "modified", lambda files, place: modified(files, place) - shift)


def kept(store, tmp_path, step, content):
    path = tmp_path / f"{step}.bin"
    path.write_text(content)
    store.record(step, "key", StepRecord({"role": store.put(path, path.name)}, {}))


def test_garbage_is_what_is_old_and_in_no_bundle(store, made, tmp_path, monkeypatch):
    served(store, made["a"])
    served(store, made["b"])
    kept(store, tmp_path, "export", "a")
    kept(store, tmp_path, "distill", "a student of long ago")
    assert find_garbage(store, timedelta(days=30)) == garbage_module.Garbage((), ())
    old(monkeypatch)
    found = find_garbage(store, timedelta(days=30))
    assert [record.place for record in found.records] == ["steps/distill/key.json"]
    assert [file.size for file in found.objects] == [len("a student of long ago")]
    collect(store, found)
    assert store.recall("distill", "key") is None
    assert store.recall("export", "key") is not None
    roll_back(store, "net")
    assert current(store, tmp_path) == "a"


def test_what_was_written_again_meanwhile_stays(store, tmp_path, monkeypatch):
    """A run that finds an old file there puts it in anew, and wins against the collector."""
    kept(store, tmp_path, "distill", "wanted again")
    with monkeypatch.context() as long_ago:
        old(long_ago)
        found = find_garbage(store, timedelta(days=30))
    assert len(found.objects) == 1
    kept(store, tmp_path, "distill", "wanted again")
    collect(store, found)
    assert store.recall("distill", "key") is not None


def test_what_is_asked_for_is_never_garbage(store, tmp_path, monkeypatch):
    kept(store, tmp_path, "distill", "wanted every week")
    with monkeypatch.context() as long_ago:
        old(long_ago)
        assert len(find_garbage(store, timedelta(days=30)).objects) == 1
        assert store.recall("distill", "key") is not None
    assert store.recall("distill", "key") is not None
    modified = [entry.modified for entry, _ in store.records()]
    monkeypatch.setattr(Files, "modified", lambda files, place: modified[0])
    assert find_garbage(store, timedelta(days=30)).objects == ()


def let_it_age(store, days=40):
    """All that lies in a store was written long ago."""
    then = datetime.now(timezone.utc) - timedelta(days=days)
    for kept in (*store.objects(), *(record for record, _ in store.records())):
        full = store._files._full(kept.place)
        if store._files.local is not None:
            os.utime(full, (then.timestamp(), then.timestamp()))
        else:
            store._files._fs.store[full].modified = then


REQUESTS = ("has", "read", "modified", "renew")


def before_request(monkeypatch, number, does, requests=REQUESTS):
    """Have something done before such a request to the store; what was asked for so far."""
    asked = []

    def counted(name):
        request = getattr(Files, name)

        def wrapped(files, *arguments):
            asked.append(name)
            if len(asked) == number:
                does()
            return request(files, *arguments)

        return wrapped

    for name in requests:
        monkeypatch.setattr(Files, name, counted(name))
    return asked


def test_a_collector_that_comes_at_any_moment_of_a_recall(store, tmp_path, monkeypatch):
    """What was recalled is there; what is not all there is not recalled."""
    outcomes = []
    for number in range(1, 100):
        kept(store, tmp_path, "distill", f"content {number}")
        let_it_age(store)
        found = find_garbage(store, timedelta(days=30))
        assert found.records
        assert found.objects
        with monkeypatch.context() as patch:
            asked = before_request(patch, number, lambda found=found: collect(store, found))
            record = store.recall("distill", "key")
        outcomes.append(record)
        if record is not None:
            content = store.read(record.artifacts["role"].sha256)
            assert content == f"content {number}".encode()
        if len(asked) < number:
            break
    assert outcomes[0] is None
    assert outcomes[-1] is not None
    assert len(outcomes) > 5


def test_a_recall_at_any_moment_of_a_collection(store, tmp_path, monkeypatch):
    """Before each look that the collector takes at a file."""
    for number in range(1, 100):
        kept(store, tmp_path, "distill", f"content {number}")
        let_it_age(store)
        found, recalled = find_garbage(store, timedelta(days=30)), []
        with monkeypatch.context() as patch:
            asked = before_request(
                patch,
                number,
                lambda got=recalled: got.append(store.recall("distill", "key")),
                ("modified",),
            )
            collect(store, found)
        for record in filter(None, recalled):
            content = store.read(record.artifacts["role"].sha256)
            assert content == f"content {number}".encode()
        if len(asked) < number:
            break
        # What came first decides: the recall, or the end of its record.
        assert (recalled[0] is not None) == (number == 1)
    assert number == 3


def test_a_collector_that_had_looked_before_and_deletes_after(store, tmp_path, monkeypatch):
    """Between both the file was made young, which it did not see."""
    kept(store, tmp_path, "distill", "x")
    let_it_age(store)
    renew = Files.renew

    def renewed_and_deleted(files, place):
        renew(files, place)
        if place.startswith("objects/"):
            files.delete(place)

    monkeypatch.setattr(Files, "renew", renewed_and_deleted)
    assert store.recall("distill", "key") is None


def test_two_collectors_at_once(store, tmp_path, monkeypatch):
    """Whichever comes in between, at any request of the other's; neither complains."""
    deleted = []
    for number in range(1, 100):
        kept(store, tmp_path, "distill", f"content {number}")
        let_it_age(store)
        other = find_garbage(store, timedelta(days=30))
        with monkeypatch.context() as patch:
            asked = before_request(
                patch,
                number,
                lambda other=other: deleted.append(len(collect(store, other).objects)),
                ("read", "modified", "delete"),
            )
            collect(store, find_garbage(store, timedelta(days=30)))
        assert list(store.objects()) == []
        if len(asked) < number:
            break
    assert deleted[:3] == [1, 1, 1]


def test_a_half_written_file_goes_when_it_is_old(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"))
    kept(store, tmp_path, "distill", "x")
    (half := tmp_path / "store" / "objects" / "ab").mkdir()
    (half / "abc.123.part").write_text("half")
    old(monkeypatch)
    names = [entry.place for entry in find_garbage(store, timedelta(days=30)).objects]
    assert "objects/ab/abc.123.part" in names


def test_a_file_that_is_put_in_again_is_young_again(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"))
    kept(store, tmp_path, "distill", "x")
    before = [entry.modified for entry in store.objects()]
    old(monkeypatch, days=2)
    kept(store, tmp_path, "distill", "x")
    after = [entry.modified + timedelta(days=2) for entry in store.objects()]
    assert after > before


def test_nothing_young_is_ever_garbage(store):
    with pytest.raises(InputError, match="7 days old at least"):
        find_garbage(store, timedelta(days=1))


def test_releases_of_two_names_do_not_meet(store, made, tmp_path):
    served(store, made["a"])
    served(store, bundle(tmp_path / "other", "other", name="other"))
    assert names(store) == ["net", "other"]
    assert current(store, tmp_path) == "a"
    assert replace(history(store, "other")[0], when="").because == "passed"
