"""What builds engines on a device: TensorRT's Python bindings, or its trtexec."""

from pathlib import Path
from typing import Protocol

from targets.tensorrt.builders.bindings import find_bindings
from targets.tensorrt.builders.trtexec import Trtexec
from targets.tensorrt.options import BuildFiles, Options, Shape


class Builder(Protocol):
    """The Python bindings where they import, trtexec elsewhere."""

    @property
    def version(self) -> tuple[int, ...]:
        """TensorRT's, as numbers."""

    def build(
        self, options: Options, places: BuildFiles, shape: Shape, log: Path, timeout_s: float
    ) -> None:
        """Build an engine at `places.engine`, its layer table at `places.layers`."""


def choose_builder(trtexec: Trtexec) -> Builder:
    """The Python bindings where they are of trtexec's own TensorRT, else trtexec.

    trtexec times and checks whatever was built, and its TensorRT is the system's, which DeepStream
    and Triton load: an engine of another version, say from pip, would open in none of them.
    """
    bindings = find_bindings()
    return bindings if bindings is not None and bindings.version == trtexec.version else trtexec
