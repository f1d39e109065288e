"""The lock of a step: who holds it, who waits, and what happens when its owner dies."""

import asyncio
import itertools
import threading
import time
import uuid

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.support import step_lock as module
from flows.support.step_lock import step_lock

pytestmark = pytest.mark.server

WAITING = "another run is doing this step; waiting for it"
TAKING_OVER = "the run doing this step stopped responding; taking over"


def api(url):
    """Settings of a thread; each thread has its own."""
    return temporary_settings({PREFECT_API_URL: url})


@pytest.fixture
def client(session, monkeypatch):
    monkeypatch.setattr(module, "POLL_INTERVAL_S", 1.0)
    monkeypatch.setattr(module, "OWNER_TIMEOUT_S", 3.0)
    with api(session.url), get_client(sync_client=True) as opened:
        yield opened


@pytest.fixture
def key():
    return uuid.uuid4().hex


def lock_name(key):
    return f"datafree-edge-step-{key}"


def lock_names(client):
    return [limit.name for limit in client.read_global_concurrency_limits(limit=200)]


def take_without_lease(client, key):
    """Leave the state after a server restart: the slot is taken, and no lease is known."""
    client.upsert_global_concurrency_limit_by_name(lock_name(key), 1)
    client.increment_concurrency_slots([lock_name(key)], slots=1, mode="concurrency")


def test_the_lock_exists_while_its_step_runs(client, key):
    with step_lock(key, list, print):
        assert lock_name(key) in lock_names(client)
    assert lock_name(key) not in lock_names(client)


def test_a_failed_step_frees_its_lock(client, key):
    with pytest.raises(OSError, match="full"), step_lock(key, list, print):
        raise OSError("full")
    messages = []
    with step_lock(key, list, messages.append):
        assert messages == []


def test_a_lock_granted_late_by_a_slow_server_is_used(client, key, monkeypatch):
    """A client that timed out and asked again would wait for itself."""
    increment = PrefectClient.increment_concurrency_slots_with_lease

    async def late(*args, **kwargs):
        response = await increment(*args, **kwargs)
        await asyncio.sleep(2 * module.POLL_INTERVAL_S)
        return response

    monkeypatch.setattr(PrefectClient, "increment_concurrency_slots_with_lease", late)
    messages = []
    with step_lock(key, list, messages.append):
        assert messages == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_lock_that_is_never_freed_is_taken_over(client, key, times):
    for _ in range(times):
        take_without_lease(client, key)
        messages = []
        with step_lock(key, list, messages.append):
            pass
        assert messages == [WAITING, TAKING_OVER]
    messages.clear()
    with step_lock(key, list, messages.append):
        assert messages == []


def test_an_owner_that_makes_progress_keeps_the_lock(client, key):
    progress, messages, order = itertools.count(), [], []

    def wait_for_lock():
        with api(url), step_lock(key, progress.__next__, messages.append):
            order.append("second")

    url = str(client.api_url)
    second = threading.Thread(target=wait_for_lock)
    with step_lock(key, list, print):
        second.start()
        time.sleep(3 * module.OWNER_TIMEOUT_S)
        order.append("first")
    second.join(30)
    assert order == ["first", "second"]
    assert messages == [WAITING]


def test_only_one_of_many_waiting_runs_takes_over(client, key):
    url, inside, counts = str(client.api_url), 0, []
    guard = threading.Lock()
    take_without_lease(client, key)

    def progress():
        return time.time() if inside else 0

    def run():
        nonlocal inside
        with api(url), step_lock(key, progress, lambda _: None):
            with guard:
                inside += 1
                counts.append(inside)
            time.sleep(1.5)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [1] * 5
