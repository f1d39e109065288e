"""Turn TensorRT's logs into a diagnosis and a fix."""

__all__ = ["failure"]
