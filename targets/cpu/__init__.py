"""Compile, run and time graphs with ONNX Runtime on a CPU."""

__all__ = ["compile", "session"]
