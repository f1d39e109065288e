"""What targets exist, which one this machine is, and how fast it can be at most."""

__all__ = [
    "catalogue",
    "device_detection",
    "instruction_sets",
    "roofline",
    "tables",
    "target_types",
]
