"""A step has one place on the server: who holds it, who waits, and what the dead leave."""

import asyncio
import itertools
import threading
import time
import uuid

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.support import step_lock as turns

pytestmark = pytest.mark.server


def api(url):
    """Settings of a thread: each has its own."""
    return temporary_settings({PREFECT_API_URL: url})


@pytest.fixture
def client(session, monkeypatch):
    monkeypatch.setattr(turns, "LOOK", 1.0)
    monkeypatch.setattr(turns, "PATIENCE", 3.0)
    with api(session.url), get_client(sync_client=True) as opened:
        yield opened


@pytest.fixture
def key():
    return uuid.uuid4().hex


def place(key):
    return f"datafree-edge-step-{key}"


def limits(client):
    return [limit.name for limit in client.read_global_concurrency_limits(limit=200)]


def test_a_place_is_there_as_long_as_its_step(client, key):
    with turns.one_at_a_time(key, list, print):
        assert place(key) in limits(client)
    assert place(key) not in limits(client)


def test_one_who_fails_leaves_the_place_free(client, key):
    with pytest.raises(OSError, match="full"), turns.one_at_a_time(key, list, print):
        raise OSError("full")
    said = []
    with turns.one_at_a_time(key, list, said.append):
        assert said == []


def test_a_place_that_a_slow_server_gives_late_is_had(client, key, monkeypatch):
    """Who stops waiting for the answer would wait for itself then."""
    ask = PrefectClient.increment_concurrency_slots_with_lease

    async def late(*args, **kwargs):
        answer = await ask(*args, **kwargs)
        await asyncio.sleep(2 * turns.LOOK)
        return answer

    monkeypatch.setattr(PrefectClient, "increment_concurrency_slots_with_lease", late)
    said = []
    with turns.one_at_a_time(key, list, said.append):
        assert said == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_place_that_the_server_never_frees_is_taken_once_nobody_shows_life(client, key, times):
    """As after a restart of the server: a slot is taken, and no lease is known."""
    for _ in range(times):
        client.upsert_global_concurrency_limit_by_name(place(key), 1)
        client.increment_concurrency_slots([place(key)], slots=1, mode="concurrency")
        said = []
        with turns.one_at_a_time(key, list, said.append):
            pass
        assert said == [
            "another run does this step; waiting for it",
            "nobody works at it any more; going on",
        ]
    said.clear()
    with turns.one_at_a_time(key, list, said.append):
        assert said == []


def test_one_who_shows_life_is_not_overtaken_however_long_it_takes(client, key):
    life, said, order = itertools.count(), [], []

    def late():
        with api(url), turns.one_at_a_time(key, life.__next__, said.append):
            order.append("second")

    url = str(client.api_url)
    second = threading.Thread(target=late)
    with turns.one_at_a_time(key, list, print):
        second.start()
        time.sleep(3 * turns.PATIENCE)
        order.append("first")
    second.join(30)
    assert order == ["first", "second"]
    assert said == ["another run does this step; waiting for it"]


def test_of_many_who_wait_for_one_who_died_one_goes_on(client, key):
    url, inside, most = str(client.api_url), 0, []
    lock = threading.Lock()
    client.upsert_global_concurrency_limit_by_name(place(key), 1)
    client.increment_concurrency_slots([place(key)], slots=1, mode="concurrency")

    def signs():
        return time.time() if inside else 0

    def run():
        nonlocal inside
        with api(url), turns.one_at_a_time(key, signs, lambda _: None):
            with lock:
                inside += 1
                most.append(inside)
            time.sleep(1.5)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 5
