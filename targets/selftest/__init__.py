"""The self-test of a device: everything this project would do there, tried once."""
