"""Inference speed of int8, overhead of the training loop, lower bounds for every Jetson."""
