"""Graphs and scales for the deep-learning accelerator (DLA)."""
