"""TensorRT engines: planned, built, timed, inspected and known again. Nothing here imports it."""
