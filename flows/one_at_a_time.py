"""Whoever asks for a step that someone else is doing waits, and finds it done."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists

LOOK = 15.0
"""Seconds between two looks of one who waits."""

LEASE = 60.0
"""Seconds after which the place of one who died is free, the least that Prefect takes; the living
renew theirs."""

PATIENCE = 300.0
"""Seconds after which one who waits does not believe any more that it will be."""


@contextmanager
def one_at_a_time(
    key: str, is_worked_on: Callable[[], bool], say: Callable[[str], None]
) -> Iterator[None]:
    """Hold one of 256 places on the server, by a step's key.

    A server that is started again forgets its leases, unless it is told to keep them in files, and
    frees no place then. So nobody waits for ever where nobody works at the step: one that is done
    twice costs time and no more.

    Args:
        key: In hex. Its first two digits choose the place, so that the server's limits stay few;
            two steps that differ seldom wait for each other.
        is_worked_on: Whether the step has shown a sign of life lately.
        say: Takes a line.
    """
    place = f"datafree-edge-step-{key[:2]}"
    # Two at once may both find that there is no such limit.
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.upsert_global_concurrency_limit_by_name(place, 1)
    with ExitStack() as held:
        waited = 0.0
        while True:
            try:
                held.enter_context(_held(place))
                break
            except TimeoutError:
                if not waited:
                    say("another run does this step; waiting for it")
                waited += LOOK
            if waited >= PATIENCE and not is_worked_on():
                say("nobody seems to work at it any more; going on")
                break
        yield


@contextmanager
def _held(place: str) -> Iterator[None]:
    """The place, if it is free within a look; a lost lease does not end what is at work."""
    with concurrency(
        place,
        occupy=1,
        timeout_seconds=LOOK,
        lease_duration=LEASE,
        strict=True,
        raise_on_lease_renewal_failure=False,
    ):
        yield
