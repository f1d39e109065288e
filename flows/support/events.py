"""Events for Prefect automations and deployment triggers."""

import asyncio
from typing import Any

from prefect.events import Event, Resource
from prefect.events.clients import get_events_client

RECONNECTIONS = 3


def send_event(event: str, kind: str, name: str, payload: dict[str, Any], **labels: str) -> None:
    """Send an event to the server and wait until it is sent.

    Prefect's `emit_event` sends from a background thread and drops what it cannot send.

    Args:
        event: The event's name, such as "teacher.updated".
        kind: Kind of the resource: "teacher" or "bundle".
        name: Name of the resource.
        payload: The event's data.
        **labels: Labels of the resource, which triggers can match.

    Raises:
        ConnectionError: If the event cannot be sent.
    """
    resource = {
        "prefect.resource.id": f"datafree-edge.{kind}.{name}",
        "prefect.resource.name": name,
        **labels,
    }

    async def send() -> None:
        async with get_events_client(RECONNECTIONS, checkpoint_every=1) as client:
            await client.emit(Event(event=event, resource=Resource(resource), payload=payload))

    try:
        asyncio.run(send())
    except Exception as error:  # Of many types: websockets', Prefect's, the system's.
        reason = f"{type(error).__name__}: {error}"
        raise ConnectionError(f"the event {event} could not be sent ({reason})") from None
