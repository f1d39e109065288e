"""Causes of failed builds, read from TensorRT logs."""
