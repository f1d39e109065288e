"""Try every build step on a device with a small network, and write a report."""
