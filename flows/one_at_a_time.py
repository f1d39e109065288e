"""Whoever asks for a step that someone else is doing waits, and finds it done."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency

LEASE = 60.0
"""Seconds after which the place of one who died is free; the living renew theirs."""


@contextmanager
def one_at_a_time(key: str) -> Iterator[None]:
    """Hold one of 256 places on the server, by a step's key.

    Args:
        key: In hex. Its first two digits choose the place, so that the server's limits stay few;
            two steps that differ seldom wait for each other.
    """
    place = f"datafree-edge-step-{key[:2]}"
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(place, 1)
    with concurrency(place, occupy=1, lease_duration=LEASE, strict=True):
        yield
