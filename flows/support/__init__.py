"""What several flows share: events, retries, step locks, orders to devices, a run's page."""

__all__ = ["events", "remote_build", "retry_policy", "run_page", "step_lock"]
