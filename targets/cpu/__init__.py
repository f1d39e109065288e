"""ONNX Runtime on a CPU: compile a graph, open a session, time it."""
