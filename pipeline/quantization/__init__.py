"""Fake-quantizers: placed, calibrated, trained and restored."""
