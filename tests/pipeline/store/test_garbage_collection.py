"""Garbage collection deletes what is old and in no release, also while others use the store."""

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


def make_old(monkeypatch, days=40):
    """Make all files look as if they had been written `days` ago."""
    modified = Files.modified
    shift = timedelta(days=days)
    monkeypatch.setattr(Files, "modified", lambda files, place: modified(files, place) - shift)


def add_step(store, tmp_path, step, content):
    path = tmp_path / f"{step}.bin"
    path.write_text(content)
    store.record(step, "key", StepRecord({"role": store.put(path, path.name)}, {}))


def test_garbage_is_old_and_in_no_release(store, tmp_path, monkeypatch):
    for letter in "ab":
        publish_bundle(store, make_bundle(tmp_path / letter, letter))
    add_step(store, tmp_path, "export", "a")
    add_step(store, tmp_path, "distill", "an old student")
    assert garbage(store) == garbage_module.Garbage((), ())
    make_old(monkeypatch)
    found = garbage(store)
    assert [record.place for record in found.records] == ["steps/distill/key.json"]
    assert [file.size_bytes for file in found.objects] == [len("an old student")]
    collect(store, found)
    assert store.recall("distill", "key") is None
    assert store.recall("export", "key") is not None
    roll_back(store, "net")
    assert released_content(store, tmp_path) == "a"


def test_file_written_again_after_listing_is_not_deleted(store, tmp_path, monkeypatch):
    """A run may write an old file again between listing and deletion."""
    add_step(store, tmp_path, "distill", "content")
    with monkeypatch.context() as patch:
        make_old(patch)
        found = garbage(store)
    assert len(found.objects) == 1
    add_step(store, tmp_path, "distill", "content")
    collect(store, found)
    assert store.recall("distill", "key") is not None


def test_recalled_files_are_not_garbage(store, tmp_path, monkeypatch):
    add_step(store, tmp_path, "distill", "content")
    with monkeypatch.context() as patch:
        make_old(patch)
        assert len(garbage(store).objects) == 1
        assert store.recall("distill", "key") is not None
    assert store.recall("distill", "key") is not None
    modified = [entry.modified for entry, _ in store.records()]
    monkeypatch.setattr(Files, "modified", lambda files, place: modified[0])
    assert garbage(store).objects == ()


def set_timestamps(store, days=40):
    """Set the timestamp of everything in a store to `days` ago."""
    then = datetime.now(timezone.utc) - timedelta(days=days)
    for kept in (*store.objects(), *(record for record, _ in store.records())):
        full = store._files._full(kept.place)
        if store._files.local is not None:
            os.utime(full, (then.timestamp(), then.timestamp()))
        else:
            store._files._fs.store[full].modified = then


REQUESTS = ("exists", "read", "modified", "refresh")


def before_request(monkeypatch, number, does, requests=REQUESTS):
    """Call `does` before the nth such request to the store. Return the requests so far."""
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


def test_recall_is_complete_or_none_during_a_collection(store, tmp_path, monkeypatch):
    """A collection runs before the nth request of a recall."""
    outcomes = []
    for number in range(1, 100):
        add_step(store, tmp_path, "distill", f"content {number}")
        set_timestamps(store)
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


def test_collection_deletes_no_file_that_was_recalled_in_between(store, tmp_path, monkeypatch):
    """A recall runs before the nth check of a file by the collection."""
    for number in range(1, 100):
        add_step(store, tmp_path, "distill", f"content {number}")
        set_timestamps(store)
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


def test_recall_returns_none_if_a_file_is_deleted_after_its_refresh(store, tmp_path, monkeypatch):
    """The collection checked the file before the refresh and deletes it after."""
    add_step(store, tmp_path, "distill", "x")
    set_timestamps(store)
    refresh = Files.refresh

    def renewed_and_deleted(files, place):
        refresh(files, place)
        if place.startswith("objects/"):
            files.delete(place)

    monkeypatch.setattr(Files, "refresh", renewed_and_deleted)
    assert store.recall("distill", "key") is None


def test_two_collections_at_once_do_not_fail(store, tmp_path, monkeypatch):
    """One collection runs before the nth request of the other."""
    deleted = []
    for number in range(1, 100):
        add_step(store, tmp_path, "distill", f"content {number}")
        set_timestamps(store)
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


def test_unfinished_old_file_is_garbage(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"))
    add_step(store, tmp_path, "distill", "x")
    (half := tmp_path / "store" / "objects" / "ab").mkdir()
    (half / "abc.123.part").write_text("half")
    make_old(monkeypatch)
    names = [entry.place for entry in garbage(store).objects]
    assert "objects/ab/abc.123.part" in names


def test_putting_an_old_file_again_refreshes_its_timestamp(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"))
    add_step(store, tmp_path, "distill", "x")
    before = [entry.modified for entry in store.objects()]
    make_old(monkeypatch, days=2)
    add_step(store, tmp_path, "distill", "x")
    after = [entry.modified + timedelta(days=2) for entry in store.objects()]
    assert after > before


def test_too_short_an_age_is_an_input_error(store):
    with pytest.raises(InputError, match="1 days is too short; use at least 7"):
        find_garbage(store, timedelta(days=1), set())
