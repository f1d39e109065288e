"""Runs that are killed or lose their server, store or disk; the cost of cached runs."""
