"""Graphs and calibration caches for a deep-learning accelerator (DLA)."""
