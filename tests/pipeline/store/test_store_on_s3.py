"""The store over S3, with a local stand-in: two writers of the same content and a reader."""

import hashlib
import itertools
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from base.errors import InputError
from pipeline.store.step_record import StepRecord
from pipeline.store.store import Store
from tests.support.quick_run import ROOT
from tests.support.session import Session, free_port

pytestmark = pytest.mark.server

STEPS, SIZE = 25, 50_000

WRITE = f"""
import sys
from pathlib import Path
from pipeline.store.step_record import StepRecord
from pipeline.store.store import Store

url, who, folder = sys.argv[1:]
store = Store(url)
for number in range({STEPS}):
    path = Path(folder, f"{{who}}-{{number}}")
    path.write_bytes(bytes([number]) * {SIZE})
    made = store.put(path, "made")
    store.record("step", f"{{number:064x}}", StepRecord({{"made": made}}, {{"by": who}}))
    store.append("service/net", {{"by": who, "number": number}})
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Provide a session whose S3 endpoint is a moto server on this machine."""
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    session = Session(
        tmp_path_factory.mktemp("home"),
        here,
        "s3://bucket/store",
        AWS_ACCESS_KEY_ID="nobody",
        AWS_SECRET_ACCESS_KEY="nothing",
        AWS_ENDPOINT_URL=here,
    )
    try:
        session.start(f"python tests/support/s3_stand_in.py 127.0.0.1 {port}")
        session.wait_until_up(here)
        yield session
    finally:
        session.close()


@pytest.fixture
def store(service, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, service.environment[name])
    return Store("s3://bucket/store")


def writer(service, store, who, folder):
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, store.url, who, str(folder)],
        cwd=ROOT,
        env=service.environment,
    )


def state_of(store):
    """Return the complete steps and the length of the log."""
    whole = set()
    for number in range(STEPS):
        record = store.recall("step", f"{number:064x}")
        if record is not None:
            assert store.read(record.artifacts["made"].sha256) == bytes([number]) * SIZE
            whole.add(number)
    return whole, len(store.entries("service/net"))


def test_reader_sees_only_whole_steps_while_two_writers_work(service, store, tmp_path):
    writers = [writer(service, store, who, tmp_path) for who in ("one", "other")]
    states = [state_of(store)]
    while any(each.poll() is None for each in writers):
        states.append(state_of(store))
    states.append(state_of(store))
    assert [each.returncode for each in writers] == [0, 0]
    for (whole, logged), (later, logged_later) in itertools.pairwise(states):
        assert whole <= later
        assert logged <= logged_later
    assert any(0 < len(whole) < STEPS for whole, _ in states), "no intermediate state was seen"
    assert states[-1] == (set(range(STEPS)), 2 * STEPS)
    entries = store.entries("service/net")
    for who in ("one", "other"):
        assert [e["number"] for e in entries if e["by"] == who] == list(range(STEPS))
    digests = {hashlib.sha256(bytes([number]) * SIZE).hexdigest() for number in range(STEPS)}
    assert {Path(kept.place).name for kept in store.objects()} == digests


def test_damaged_object_is_found_by_its_digest(store, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    made = store.put(tmp_path / "file", "file")
    (tmp_path / "file").write_bytes(b"another")
    place = f"objects/{made.sha256[:2]}/{made.sha256}"
    store._files.write(place, tmp_path / "file")
    with pytest.raises(InputError, match="is damaged"):
        store.read(made.sha256)


def test_recall_refreshes_timestamps(store, tmp_path, monkeypatch):
    """S3 cannot copy an object onto itself."""
    (tmp_path / "file").write_bytes(b"asked for")
    made = store.put(tmp_path / "file", "file")
    store.record("old", "key", StepRecord({"made": made}, {}))
    before = {kept.place: kept.modified for kept in store.objects()}
    monkeypatch.setattr("pipeline.store.store.FRESH", timedelta(seconds=1))
    time.sleep(2.5)
    assert store.recall("old", "key").artifacts == {"made": made}
    after = {kept.place: kept.modified for kept in store.objects()}
    place = f"objects/{made.sha256[:2]}/{made.sha256}"
    assert after[place] > before[place]
    assert after.keys() == before.keys()
    assert store.read(made.sha256) == b"asked for"
