"""`python -m targets`: see command_line.py."""

import sys

try:
    from targets.command_line import main
except ModuleNotFoundError as error:
    sys.exit(
        f"targets: needs {error.name}: pip install numpy onnx onnxruntime; on a Jetson: make device"
    )

if __name__ == "__main__":
    sys.exit(main())
