"""Checks of a Q/DQ graph against what TensorRT accepts and fuses, without a device."""

__all__ = ["finding", "linter"]
