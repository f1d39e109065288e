import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from base.errors import InputError
from pipeline.store.step_record import Artifact, StepRecord
from pipeline.store.storage import StoreUnreachableError
from pipeline.store.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def artifact(store, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"content")
    return store.put(tmp_path / "a.bin", "a.bin")


def objects(tmp_path):
    return [p for p in (tmp_path / "store" / "objects").rglob("*") if p.is_file()]


def test_same_content_is_stored_once_and_read_back(store, artifact, tmp_path):
    (tmp_path / "b.bin").write_bytes(b"content")
    assert store.put(tmp_path / "b.bin", "b.bin").sha256 == artifact.sha256
    assert len(objects(tmp_path)) == 1
    (tmp_path / "out").mkdir()
    assert store.get(artifact, tmp_path / "out").read_bytes() == b"content"


def test_damaged_object_is_an_input_error_and_leaves_no_file(store, artifact, tmp_path):
    objects(tmp_path)[0].write_bytes(b"contend")
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="damaged"):
        store.get(artifact, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_step_is_recalled_only_if_all_its_files_exist(store, artifact, tmp_path):
    record = StepRecord({"role": artifact}, {"seconds": 3})
    assert store.recall("step", "key") is None
    store.record("step", "key", record)
    assert store.recall("step", "key") == record
    assert store.recall("step", "other") is None
    objects(tmp_path)[0].unlink()
    assert store.recall("step", "key") is None
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="is missing; run again"):
        store.get(artifact, tmp_path / "out")


def test_get_keeps_a_complete_file_and_replaces_a_partial_one(store, artifact, tmp_path):
    (tmp_path / "out").mkdir()
    half = tmp_path / "out" / "a.bin"
    half.write_bytes(b"cont")
    assert store.get(artifact, tmp_path / "out").read_bytes() == b"content"
    objects(tmp_path)[0].unlink()
    assert store.get(artifact, tmp_path / "out") == half
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.bin"]


def test_failed_transfer_leaves_no_file(store, artifact, tmp_path, monkeypatch):
    def breaks(source, target):
        Path(target).write_bytes(b"cont")
        raise ConnectionResetError

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(store._files._fs, "get_file", breaks)
    with pytest.raises(ConnectionResetError):
        store.get(artifact, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_exception_of_a_remote_store_becomes_an_os_error(artifact, tmp_path, monkeypatch):
    class LibraryError(Exception):
        pass

    def breaks(place, **_):
        raise LibraryError("nobody answers")

    remote = Store("memory://remote")
    monkeypatch.setattr(remote._files._fs, "cat_file", breaks)
    with pytest.raises(StoreUnreachableError, match=r"nobody answers.*memory://remote"):
        remote.recall("step", "key")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"artifacts": 3}', '{"artifacts": {"a": {}}}']
)
def test_damaged_record_is_named_in_the_error(store, artifact, tmp_path, content):
    store.record("step", "key", StepRecord({"role": artifact}, {}))
    (tmp_path / "store" / "steps" / "step" / "key.json").write_text(content)
    with pytest.raises(InputError, match=r"key\.json is damaged"):
        store.recall("step", "key")


def test_record_edited_to_another_object_is_damaged(store, artifact, tmp_path):
    (tmp_path / "other").write_bytes(b"other")
    other = store.put(tmp_path / "other", "other")
    store.record("step", "key", StepRecord({"role": artifact}, {"curve": [0.1, float("nan")]}))
    path = tmp_path / "store" / "steps" / "step" / "key.json"
    assert store.recall("step", "key").artifacts == {"role": artifact}
    path.write_text(path.read_text().replace(artifact.sha256, other.sha256))
    with pytest.raises(InputError, match=r"key\.json is damaged"):
        store.recall("step", "key")


def test_record_moved_to_another_key_is_damaged(store, artifact, tmp_path):
    store.record("step", "key", StepRecord({"role": artifact}, {}))
    path = tmp_path / "store" / "steps" / "step" / "key.json"
    path.rename(path.with_name("another.json"))
    with pytest.raises(InputError, match=r"another\.json is damaged"):
        store.recall("step", "another")


def test_record_above_the_size_limit_is_not_read(store, artifact, monkeypatch):
    store.record("step", "key", StepRecord({"role": artifact}, {"curve": [0.5] * 100}))
    monkeypatch.setattr("pipeline.store.storage.MAX_SMALL_BYTES", 100)
    with pytest.raises(InputError, match=r"key\.json is larger than 100 bytes; delete it"):
        store.recall("step", "key")


def test_failed_write_leaves_no_object(store, tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(b"content")

    def disk_full(source, target):
        target.write_bytes(b"con")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.store.storage.shutil.copyfile", disk_full)
    with pytest.raises(OSError, match="the disk is full; free some space"):
        store.put(tmp_path / "a.bin", "a.bin")
    assert not objects(tmp_path)


def test_concurrent_writers_of_the_same_content_store_it_once(store, tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(1_000_000))
    made: list[Artifact] = []
    threads = [
        threading.Thread(target=lambda: made.append(store.put(tmp_path / "a.bin", "a.bin")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert len(made) == 8
    assert len(objects(tmp_path)) == 1


def test_root_can_be_an_fsspec_url(tmp_path):
    store = Store("memory://somewhere")
    (tmp_path / "a.bin").write_bytes(b"x")
    made = store.put(tmp_path / "a.bin", "c.bin")
    store.record("step", "key", StepRecord({"role": made}, {}))
    assert store.recall("step", "key").artifacts["role"] == made
    assert store.get(made, tmp_path).read_bytes() == b"x"


@pytest.mark.parametrize("copies", [True, False])
def test_recall_refreshes_timestamps_in_a_remote_store(tmp_path, monkeypatch, copies):
    store = Store(f"memory://{tmp_path.name}-{copies}")
    (tmp_path / "a.bin").write_bytes(b"x")
    made = store.put(tmp_path / "a.bin", "a.bin")
    store.record("step", "key", StepRecord({"role": made}, {}))
    files = store._files
    if not copies:
        monkeypatch.delattr(type(files._fs), "cp_file")
    for kept in files.walk(""):
        files._fs.store[files._full(kept.place)].modified -= timedelta(days=40)
    assert store.recall("step", "key").artifacts["role"] == made
    now = datetime.now(timezone.utc)
    assert all(now - kept.modified < timedelta(minutes=1) for kept in files.walk(""))
    assert len(list(files.walk(""))) == 2
    assert store.read(made.sha256) == b"x"


def test_root_that_cannot_be_written_is_an_input_error():
    with pytest.raises(InputError, match="cannot be written"):
        Store("/proc/nowhere")
