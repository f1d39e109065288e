"""What several flows share: events, retries, locks, checks, orders to devices, a run's page."""

__all__ = ["events", "installed", "remote_build", "retry_policy", "run_page", "step_lock"]
