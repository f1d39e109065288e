"""The commands of the command line, one function each.

Modules that take long to import (torch, ONNX Runtime, pydantic) are imported inside the functions,
so that help texts and refusals appear quickly.
"""

__all__ = [
    "bundle_commands",
    "image_commands",
    "release_commands",
    "run_commands",
    "tables",
    "teacher_commands",
]
