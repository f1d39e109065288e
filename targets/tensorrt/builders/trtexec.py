"""TensorRT's own command: found, asked what it knows, run under a time limit, its answers read."""

import json
import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from targets.tensorrt.builders.process import run_logged
from targets.tensorrt.diagnosis.failures import BuildError, Failure, diagnose
from targets.tensorrt.options import BuildFiles, Options, Shape, build_arguments

INSTALL_PATHS = ("/usr/src/tensorrt/bin/trtexec", "/opt/tensorrt/bin/trtexec")
"""Where JetPack and NVIDIA's containers put it, beside the PATH."""

NO_TRTEXEC = Failure(
    "no-trtexec",
    "TensorRT's trtexec is nowhere to be found",
    "install the package tensorrt, or put trtexec on the PATH",
)


@dataclass(frozen=True)
class Trtexec:
    """A trtexec of some version.

    Attributes:
        path: The program.
        version: TensorRT's, as numbers: (8, 2, 1).
        flags: What its help lists.
    """

    path: str
    version: tuple[int, ...]
    flags: frozenset[str]

    def run(self, arguments: Sequence[str], log: Path, timeout_s: float) -> None:
        """Run it; all that it prints goes to a log, also while it runs.

        Raises:
            BuildError: When it fails, is killed, or takes longer than it may.
        """
        run_logged([self.path, *arguments], log, timeout_s)

    def build(
        self, options: Options, places: BuildFiles, shape: Shape, log: Path, timeout_s: float
    ) -> None:
        """Build an engine, without a run.

        Raises:
            BuildError: When there is none in the end.
            UnsupportedError: When this trtexec lacks a flag that the engine needs.
        """
        self.run(build_arguments(options, places, shape, self.flags), log, timeout_s)


def find_trtexec() -> Trtexec:
    """The trtexec of this machine.

    Raises:
        BuildError: When there is none, or it does not answer.
    """
    path = shutil.which("trtexec") or next((p for p in INSTALL_PATHS if Path(p).exists()), None)
    if path is None:
        raise BuildError(NO_TRTEXEC)
    try:
        asked = subprocess.run([path, "--help"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(
            Failure("no-trtexec", f"{path} does not answer ({error})", "install tensorrt again")
        ) from None
    said = asked.stdout + asked.stderr
    flags = frozenset(re.findall(r"^\s+(--\w+)", said, re.MULTILINE))
    version = parse_banner(said)
    if version is None or "--onnx" not in flags:
        raise BuildError(diagnose(said, asked.returncode or 1, f"what {path} --help says"))
    return Trtexec(path, version, flags)


def parse_banner(text: str) -> tuple[int, ...] | None:
    """The version out of `[TensorRT v8201]`, `[TensorRT v100300]`; None where there is none.

    Two digits each for minor and patch since 10, a digit for the minor before.
    """
    found = re.search(r"\[TensorRT v(\d+)\]", text)
    if not found:
        return None
    number = int(found[1])
    if number >= 100_000:
        return number // 10_000, number // 100 % 100, number % 100
    return number // 1_000, number // 100 % 10, number % 100


def read_median_ms(path: Path) -> float:
    """The median of the GPU's milliseconds a batch, from `--exportTimes`.

    Raises:
        BuildError: When the file cannot be read.
    """
    try:
        runs = json.loads(path.read_text())
        return float(statistics.median(run["computeMs"] for run in runs))
    except READ_ERRORS as error:
        raise BuildError(_unreadable(path, error)) from None


def read_logits(path: Path, count: int) -> NDArray[np.float32]:
    """Logits (N, K) from `--exportOutput`.

    Raises:
        BuildError: When the file cannot be read.
    """
    try:
        rows = json.loads(path.read_text())
        values = next(row["values"] for row in rows if row["name"] == "logits")
        return np.asarray(values, np.float32).reshape(count, -1)
    except READ_ERRORS as error:
        raise BuildError(_unreadable(path, error)) from None


READ_ERRORS = (OSError, ValueError, KeyError, TypeError, StopIteration)


def _unreadable(path: Path, error: Exception) -> Failure:
    why = f"trtexec wrote a {path.name} that cannot be read ({type(error).__name__})"
    return Failure("garbage", why, "report it with its log", transient=True)


def write_images(images: NDArray[np.generic], path: Path) -> None:
    """Images as `--loadInputs` takes them: raw, row by row."""
    path.write_bytes(np.ascontiguousarray(images).tobytes())
