"""Events that were handed to the server, or whoever tells them knows that they were not."""

import asyncio
from typing import Any

from prefect.events import Event, Resource
from prefect.events.clients import get_events_client

TRIES = 3


def tell(event: str, about: str, name: str, payload: dict[str, Any], **labels: str) -> None:
    """Send an event, and wait until the server's socket has it.

    Prefect's own `emit_event` leaves it to a thread, and what that cannot send is lost.

    Args:
        event: What happened.
        about: Kind of what it happened to: "teacher" or "bundle".
        name: Of what it happened to.
        payload: What else there is to say.
        labels: Of it, for triggers to match.

    Raises:
        ConnectionError: When it could not be sent.
    """
    resource = {
        "prefect.resource.id": f"datafree-edge.{about}.{name}",
        "prefect.resource.name": name,
        **labels,
    }

    async def send() -> None:
        async with get_events_client(TRIES, checkpoint_every=1) as client:
            await client.emit(Event(event=event, resource=Resource(resource), payload=payload))

    try:
        asyncio.run(send())
    except Exception as error:  # A dozen types, of sockets, of their library, of Prefect.
        why = f"{type(error).__name__}: {error}"
        raise ConnectionError(f"an event could not be sent ({why})") from None
