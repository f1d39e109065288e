"""What goes wrong when an engine is built, told from the log: a diagnosis and a remedy."""

import re
import signal
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why there is no engine.

    Attributes:
        kind: A short name, stable for programs.
        diagnosis: What happened.
        remedy: What to do about it.
        again: Whether the same build may succeed at another try.
    """

    kind: str
    diagnosis: str
    remedy: str
    again: bool = False

    def __str__(self) -> str:
        """One line."""
        return f"{self.diagnosis}; {self.remedy}"


class BuildError(RuntimeError):
    """There is no engine.

    Attributes:
        failure: Why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


KNOWN = (
    (
        r"libnvdla_compiler\.so",
        Failure(
            "no-dla-library",
            "TensorRT needs libnvdla_compiler.so, which is not installed",
            "install the package nvidia-l4t-dla-compiler",
        ),
    ),
    (
        r"Unknown option: (\S+)",
        Failure(
            "unknown-flag",
            "this trtexec does not know {0}",
            "report it with the output of `python -m targets selftest`",
        ),
    ),
    (
        r"No importer registered for op: (\w+)",
        Failure(
            "unsupported-node",
            "this TensorRT has no {0}",
            "use a newer JetPack, or a student without that operator",
        ),
    ),
    (
        r"(?:shiftIsAllZeros|only supports symmetric quantization|non-?zero zero ?point)",
        Failure(
            "zero-point",
            "the graph is quantized asymmetrically, which TensorRT refuses",
            "export it again; `lint` names the nodes",
        ),
    ),
    (
        r"(?:Could not find any implementation for node ([^.\n]+))",
        Failure(
            "no-implementation",
            "no kernel fits {0}",
            "give the builder more workspace, or export with another type",
        ),
    ),
    (
        r"No space left on device",
        Failure(
            "disk-full",
            "the disk is full",
            "free some space where the engine is written",
            again=True,
        ),
    ),
    (
        r"(?:out of memory|Cuda failure: 2\b|cudaErrorMemoryAllocation|OutOfMemory)",
        Failure(
            "out-of-memory",
            "memory ran out while the engine was built",
            "stop what else runs, or lower the workspace",
            again=True,
        ),
    ),
    (
        r"(?:Your GPU |platform does not support|doesn't support) ?.*(?:int8|DLA)",
        Failure(
            "not-on-this-device",
            "this device has no such precision or accelerator",
            "choose the target that the device is: `python -m targets list`",
        ),
    ),
    (
        r"(?:engine plan file is not compatible|incompatible (?:device|version)|"
        r"serializationVersion|Version tag does not match)",
        Failure(
            "foreign-engine",
            "the engine was built by another TensorRT or for another device",
            "build it here",
        ),
    ),
)
"""Patterns of a log's lines, the most telling first; {0} is what the pattern caught."""

ERROR = re.compile(r"\[E\]\s*(.+)")


def diagnose(log: str, code: int | None) -> Failure:
    """Why a build gave no engine.

    Args:
        log: All that it printed.
        code: Its exit code, negative for a signal; None when it was stopped for taking too long.
    """
    if code is None:
        return Failure(
            "hung",
            "the build said nothing more and was stopped at its time limit",
            "raise the limit, or lower the optimization level",
            again=True,
        )
    for pattern, failure in KNOWN:
        found = re.search(pattern, log, re.IGNORECASE)
        if found:
            caught = found.group(1) if found.re.groups and found.group(1) else ""
            diagnosis = failure.diagnosis.format(caught.strip())
            return Failure(failure.kind, diagnosis, failure.remedy, failure.again)
    if code == -signal.SIGKILL:
        return Failure(
            "killed",
            "the build was killed, as the system does when memory runs out",
            "stop what else runs, or add swap",
            again=True,
        )
    if code < 0:
        return Failure(
            "crashed",
            f"the build crashed ({signal.Signals(-code).name})",
            "report it with its log",
        )
    said = ERROR.findall(log)
    if said:
        return Failure("refused", said[0].strip(), "see the log for all of it")
    return Failure("unclear", "the build gave no engine and no reason", "see the log")
