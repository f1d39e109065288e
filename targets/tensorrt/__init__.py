"""TensorRT engines: plan, build, time, inspect and recommend. Nothing here imports TensorRT."""

__all__ = ["diagnosis", "options"]
