"""Whoever asks for a step that someone else is doing waits, and finds it done."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from httpx import HTTPError, HTTPStatusError, codes
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

LOOK = 10.0
"""Seconds between two looks of one who waits."""

LEASE = 300.0
"""Seconds after which the server frees a place that nobody renews; a busy machine renews late. Who
waits for the dead does not wait so long."""

PATIENCE = 60.0
"""Seconds without a sign of life after which one who waits takes the place; several come in it."""


@contextmanager
def one_at_a_time(
    key: str, signs: Callable[[], object], say: Callable[[str], None]
) -> Iterator[None]:
    """Hold the only place on the server for a step; it is there for as long as the step is not.

    A server that is started again forgets its leases, unless it is told to keep them in files, and
    frees no place then. So a place at which nobody shows life is done away with by whoever waits
    for it, and the next one is another, whatever becomes of the old one's lease.

    Args:
        key: Of the step.
        signs: Of life; what it returns changes as long as somebody works at the step.
        say: Takes a line.
    """
    place = f"datafree-edge-step-{key}"
    with ExitStack() as held:
        with get_client(sync_client=True) as client:
            _take(held, client, place, signs, say)
        yield
    # Who comes after finds the step done; one who failed leaves the place to the next try.
    with suppress(ObjectNotFound, HTTPError), get_client(sync_client=True) as client:
        client.delete_global_concurrency_limit_by_name(place)


def _take(
    held: ExitStack,
    client: SyncPrefectClient,
    place: str,
    signs: Callable[[], object],
    say: Callable[[str], None],
) -> None:
    waited, seen = 0.0, None
    while True:
        try:
            number = _number(client, place)
            held.enter_context(_held(place))
            return
        except (ObjectNotFound, ConcurrencySlotAcquisitionError) as error:
            if not _is_taken(error):
                # Who held it was done, and took it away after it was looked for.
                time.sleep(1)
                continue
        known, seen = seen, (number, signs())
        if known is None:
            say("another run does this step; waiting for it")
        waited = waited + LOOK if seen == known else 0.0
        if waited >= PATIENCE:
            say("nobody works at it any more; going on")
            with suppress(ObjectNotFound):
                client.delete_global_concurrency_limit_by_name(number)
        else:
            time.sleep(LOOK)


def _number(client: SyncPrefectClient, place: str) -> str:
    """The server's number of the place, which is made if there is none."""
    # Two at once may both find that there is none.
    with suppress(ObjectAlreadyExists):
        client.upsert_global_concurrency_limit_by_name(place, 1)
    return str(client.read_global_concurrency_limit_by_name(place).id)


@contextmanager
def _held(place: str) -> Iterator[None]:
    """The place, if it is free now; a lost lease does not end what is at work.

    Asked once: a client that stops waiting for an answer may have been given the place.
    """
    with concurrency(
        place,
        occupy=1,
        max_retries=0,
        lease_duration=LEASE,
        strict=True,
        raise_on_lease_renewal_failure=False,
    ):
        yield


def _is_taken(error: Exception) -> bool:
    answer = error.__cause__
    return isinstance(answer, HTTPStatusError) and answer.response.status_code == codes.LOCKED
