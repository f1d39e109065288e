"""A flow that does nothing: what one costs by itself."""

from prefect import flow


@flow(name="empty", persist_result=False)
def empty() -> None:
    """Nothing."""
