"""A lock on the Prefect server for each step, so that only one run at a time does the step."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from httpx import HTTPError, HTTPStatusError, codes
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from base.notify import Notify

POLL_INTERVAL_S = 10.0
"""Time between two attempts of a waiting run to take the lock."""

LEASE_S = 300.0
"""Time after which the server frees a lock whose lease is not renewed.

A busy machine may renew its lease late. A dead owner is detected earlier, see OWNER_TIMEOUT_S.
"""

OWNER_TIMEOUT_S = 60.0
"""Time without progress after which a waiting run takes the lock over; many signs of progress fit
into it."""


@contextmanager
def step_lock(
    key: str,
    progress: Callable[[], object],
    notify: Notify,
    owner: Callable[[], str] = lambda: "another run",
) -> Iterator[None]:
    """Hold the lock of a step; wait while another run holds it and makes progress.

    The lock is a global concurrency limit of 1 on the server, which exists while the step runs. A
    restarted server forgets its leases, unless it stores them in files, and then never frees the
    lock. A waiting run therefore deletes a lock whose owner makes no progress and creates a new
    one; the lease of the deleted lock has no effect on the new one.

    Args:
        key: The step's cache key.
        progress: Returns a value that changes while some run works at the step.
        notify: Receives messages about waiting.
        owner: Returns a description of the run that works on the step.
    """
    name = f"datafree-edge-step-{key}"
    with ExitStack() as held:
        with get_client(sync_client=True) as client:
            _acquire(held, client, name, progress, notify, owner)
        yield
    # After a success the next run reuses the result; after a failure a retry creates a new lock.
    with suppress(ObjectNotFound, HTTPError), get_client(sync_client=True) as client:
        client.delete_global_concurrency_limit_by_name(name)


def _acquire(
    held: ExitStack,
    client: SyncPrefectClient,
    name: str,
    progress: Callable[[], object],
    notify: Notify,
    owner: Callable[[], str],
) -> None:
    idle_s, previous = 0.0, None
    while True:
        try:
            limit_id = _limit_id(client, name)
            held.enter_context(_slot(name))
            return
        except (ObjectNotFound, ConcurrencySlotAcquisitionError) as error:
            if not _is_taken(error):
                # The owner finished and deleted the limit between the two requests.
                time.sleep(1)
                continue
        last, previous = previous, (limit_id, progress())
        if last is None:
            notify(f"{owner()} is doing this step; waiting for it")
        idle_s = idle_s + POLL_INTERVAL_S if previous == last else 0.0
        if idle_s >= OWNER_TIMEOUT_S:
            notify("the run doing this step stopped responding; taking over")
            with suppress(ObjectNotFound):
                client.delete_global_concurrency_limit_by_name(limit_id)
        else:
            time.sleep(POLL_INTERVAL_S)


def _limit_id(client: SyncPrefectClient, name: str) -> str:
    """Return the id of the concurrency limit; create the limit if there is none."""
    # Two runs may create it at the same time.
    with suppress(ObjectAlreadyExists):
        client.upsert_global_concurrency_limit_by_name(name, 1)
    return str(client.read_global_concurrency_limit_by_name(name).id)


@contextmanager
def _slot(name: str) -> Iterator[None]:
    """Hold the limit's only slot if it is free; a lost lease does not stop the step.

    There is a single request: after a client-side timeout the server may have granted the slot, and
    a second request would wait for the first one.
    """
    with concurrency(
        name,
        occupy=1,
        max_retries=0,
        lease_duration=LEASE_S,
        strict=True,
        raise_on_lease_renewal_failure=False,
    ):
        yield


def _is_taken(error: Exception) -> bool:
    cause = error.__cause__
    return isinstance(cause, HTTPStatusError) and cause.response.status_code == codes.LOCKED
