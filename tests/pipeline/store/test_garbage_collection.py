"""The collector takes what is old and in no bundle, whoever else is at work."""

import os
from datetime import datetime, timedelta, timezone

import pytest

from base.errors import InputError
from pipeline.releases.publishing import roll_back
from pipeline.releases.release_log import objects_in_use
from pipeline.store import garbage_collection as garbage_module
from pipeline.store.garbage_collection import collect, find_garbage
from pipeline.store.step_record import StepRecord
from pipeline.store.storage import Files
from pipeline.store.store import Store
from tests.support.releases import make_bundle, publish_bundle, released_content


def garbage(store):
    """Return the garbage older than 30 days."""
    return find_garbage(store, timedelta(days=30), objects_in_use(store))


def old(monkeypatch, days=40):
    """As if all that is written so far had been written long ago."""
    modified = Files.modified
    shift = timedelta(days=days)
    monkeypatch.setattr(Files, "modified", lambda files, place: modified(files, place) - shift)


def kept(store, tmp_path, step, content):
    path = tmp_path / f"{step}.bin"
    path.write_text(content)
    store.record(step, "key", StepRecord({"role": store.put(path, path.name)}, {}))


def test_garbage_is_what_is_old_and_in_no_bundle(store, tmp_path, monkeypatch):
    for letter in "ab":
        publish_bundle(store, make_bundle(tmp_path / letter, letter))
    kept(store, tmp_path, "export", "a")
    kept(store, tmp_path, "distill", "a student of long ago")
    assert garbage(store) == garbage_module.Garbage((), ())
    old(monkeypatch)
    found = garbage(store)
    assert [record.place for record in found.records] == ["steps/distill/key.json"]
    assert [file.size_bytes for file in found.objects] == [len("a student of long ago")]
    collect(store, found)
    assert store.recall("distill", "key") is None
    assert store.recall("export", "key") is not None
    roll_back(store, "net")
    assert released_content(store, tmp_path) == "a"


def test_what_was_written_again_meanwhile_stays(store, tmp_path, monkeypatch):
    """A run that finds an old file there puts it in anew, and wins against the collector."""
    kept(store, tmp_path, "distill", "wanted again")
    with monkeypatch.context() as long_ago:
        old(long_ago)
        found = garbage(store)
    assert len(found.objects) == 1
    kept(store, tmp_path, "distill", "wanted again")
    collect(store, found)
    assert store.recall("distill", "key") is not None


def test_what_is_asked_for_is_never_garbage(store, tmp_path, monkeypatch):
    kept(store, tmp_path, "distill", "wanted every week")
    with monkeypatch.context() as long_ago:
        old(long_ago)
        assert len(garbage(store).objects) == 1
        assert store.recall("distill", "key") is not None
    assert store.recall("distill", "key") is not None
    modified = [entry.modified for entry, _ in store.records()]
    monkeypatch.setattr(Files, "modified", lambda files, place: modified[0])
    assert garbage(store).objects == ()


def let_it_age(store, days=40):
    """All that lies in a store was written long ago."""
    then = datetime.now(timezone.utc) - timedelta(days=days)
    for kept in (*store.objects(), *(record for record, _ in store.records())):
        full = store._files._full(kept.place)
        if store._files.local is not None:
            os.utime(full, (then.timestamp(), then.timestamp()))
        else:
            store._files._fs.store[full].modified = then


REQUESTS = ("exists", "read", "modified", "refresh")


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
        found = garbage(store)
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
        found, recalled = garbage(store), []
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
    refresh = Files.refresh

    def renewed_and_deleted(files, place):
        refresh(files, place)
        if place.startswith("objects/"):
            files.delete(place)

    monkeypatch.setattr(Files, "refresh", renewed_and_deleted)
    assert store.recall("distill", "key") is None


def test_two_collectors_at_once(store, tmp_path, monkeypatch):
    """Whichever comes in between, at any request of the other's; neither complains."""
    deleted = []
    for number in range(1, 100):
        kept(store, tmp_path, "distill", f"content {number}")
        let_it_age(store)
        other = garbage(store)
        with monkeypatch.context() as patch:
            asked = before_request(
                patch,
                number,
                lambda other=other: deleted.append(len(collect(store, other).objects)),
                ("read", "modified", "delete"),
            )
            collect(store, garbage(store))
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
    names = [entry.place for entry in garbage(store).objects]
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
    with pytest.raises(InputError, match="1 days is too short; use at least 7"):
        find_garbage(store, timedelta(days=1), set())
