"""A flow that does nothing: measures the cost of a flow run by itself."""

from prefect import flow


@flow(name="empty", persist_result=False)
def empty() -> None:
    """Do nothing."""
