"""What several flows share: events, retries, locks, orders to devices, the page of a run."""
