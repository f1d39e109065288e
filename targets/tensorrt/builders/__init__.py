"""The two ways to run TensorRT: its Python bindings and trtexec."""
