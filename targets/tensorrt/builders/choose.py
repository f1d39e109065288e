"""Choose what builds engines on this device: TensorRT's Python bindings or trtexec."""

from pathlib import Path
from typing import Protocol

from targets.tensorrt.builders.bindings import find_bindings
from targets.tensorrt.builders.trtexec import Trtexec
from targets.tensorrt.options import BuildFiles, Options, Shape


class Builder(Protocol):
    """Builds engines: `Bindings` or `Trtexec`."""

    @property
    def version(self) -> tuple[int, ...]:
        """TensorRT's version numbers."""

    def build(
        self, options: Options, files: BuildFiles, shape: Shape, log: Path, timeout_s: float
    ) -> None:
        """Build an engine at `files.engine` and its layer table at `files.layers`."""


def choose_builder(trtexec: Trtexec) -> Builder:
    """Return the Python bindings if they have trtexec's TensorRT version, else trtexec.

    trtexec belongs to the system's TensorRT, which DeepStream and Triton load. They could not open
    an engine of another version, for example of a TensorRT from pip.
    """
    bindings = find_bindings()
    return bindings if bindings is not None and bindings.version == trtexec.version else trtexec
