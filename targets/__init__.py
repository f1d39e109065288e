"""Devices: what they are, and how to lint, compile, time and check for them. No torch here."""
