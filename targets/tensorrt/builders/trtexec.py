"""TensorRT's command trtexec: find it, run it with a time limit, read its output files."""

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
from targets.tensorrt.builders.trtexec_arguments import build_arguments
from targets.tensorrt.diagnosis.diagnose import diagnose
from targets.tensorrt.diagnosis.failure import BuildError, Failure
from targets.tensorrt.options import BuildFiles, Options, Shape

INSTALL_PATHS = ("/usr/src/tensorrt/bin/trtexec", "/opt/tensorrt/bin/trtexec")
"""Where JetPack and NVIDIA's containers install it, besides the PATH."""

HELP_TIMEOUT_S = 60.0

NO_TRTEXEC = Failure(
    "no-trtexec",
    "TensorRT's trtexec was not found",
    "install the package tensorrt, or add the folder of trtexec to the PATH",
)

READ_ERRORS = (OSError, ValueError, KeyError, TypeError, StopIteration)


@dataclass(frozen=True)
class Trtexec:
    """An installed trtexec.

    Attributes:
        path: The program.
        version: TensorRT's version numbers: (8, 2, 1).
        flags: The flags that its help lists.
    """

    path: str
    version: tuple[int, ...]
    flags: frozenset[str]

    def run(self, arguments: Sequence[str], log: Path, timeout_s: float) -> None:
        """Run it and append its output to a log while it runs.

        Raises:
            BuildError: If it fails, is killed, or exceeds the time limit.
        """
        run_logged([self.path, *arguments], log, timeout_s)

    def build(
        self, options: Options, files: BuildFiles, shape: Shape, log: Path, timeout_s: float
    ) -> None:
        """Build an engine without running it.

        Raises:
            BuildError: If the build fails.
            UnsupportedError: If this trtexec lacks a flag that the engine needs.
        """
        self.run(build_arguments(options, files, shape, self.flags), log, timeout_s)


def find_trtexec() -> Trtexec:
    """Return this machine's trtexec.

    Raises:
        BuildError: If there is none, or it does not work.
    """
    path = shutil.which("trtexec") or next((p for p in INSTALL_PATHS if Path(p).exists()), None)
    if path is None:
        raise BuildError(NO_TRTEXEC)
    try:
        done = subprocess.run(
            [path, "--help"], capture_output=True, text=True, timeout=HELP_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(
            Failure("no-trtexec", f"{path} does not respond ({error})", "reinstall tensorrt")
        ) from None
    output = done.stdout + done.stderr
    flags = frozenset(re.findall(r"^\s+(--\w+)", output, re.MULTILINE))
    version = parse_banner(output)
    if version is None or "--onnx" not in flags:
        raise BuildError(diagnose(output, done.returncode or 1, f"the output of {path} --help"))
    return Trtexec(path, version, flags)


def parse_banner(text: str) -> tuple[int, ...] | None:
    """Return the version in `[TensorRT v8201]` or `[TensorRT v100300]`, or None.

    Minor and patch have two digits each since version 10; before, the minor has one digit.
    """
    found = re.search(r"\[TensorRT v(\d+)\]", text)
    if not found:
        return None
    number = int(found[1])
    if number >= 100_000:
        return number // 10_000, number // 100 % 100, number % 100
    return number // 1_000, number // 100 % 10, number % 100


def read_median_ms(path: Path) -> float:
    """Return the median GPU milliseconds per batch from an `--exportTimes` file.

    Raises:
        BuildError: If the file is unreadable.
    """
    try:
        runs = json.loads(path.read_text())
        return float(statistics.median(run["computeMs"] for run in runs))
    except READ_ERRORS as error:
        raise BuildError(_unreadable(path, error)) from None


def read_logits(path: Path, count: int) -> NDArray[np.float32]:
    """Return logits (N, K) from an `--exportOutput` file for `count` images.

    Raises:
        BuildError: If the file is unreadable.
    """
    try:
        rows = json.loads(path.read_text())
        values = next(row["values"] for row in rows if row["name"] == "logits")
        return np.asarray(values, np.float32).reshape(count, -1)
    except READ_ERRORS as error:
        raise BuildError(_unreadable(path, error)) from None


def write_images(images: NDArray[np.generic], path: Path) -> None:
    """Write images as raw bytes in row-major order, the format of `--loadInputs`."""
    path.write_bytes(np.ascontiguousarray(images).tobytes())


def _unreadable(path: Path, error: Exception) -> Failure:
    why = f"trtexec wrote an unreadable {path.name} ({type(error).__name__})"
    return Failure("garbage", why, "report it together with the log", transient=True)
