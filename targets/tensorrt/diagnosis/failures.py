"""What goes wrong when an engine is built, told from the log: a diagnosis and a remedy."""

import re
import signal
from dataclasses import dataclass

from targets.tensorrt.diagnosis.parser_errors import ParserError, parser_errors


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
    transient: bool = False

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


KNOWN_FAILURES = (
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
        r"(?:No importer registered for op: (\w+)|(?:could not|cannot) find plugin: (\w+)|"
        r"Plugin not found)",
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
            "export it again; `python -m targets lint GRAPH` names the nodes",
        ),
    ),
    (
        r"Could not find any implementation for node ([^.\n]+)",
        Failure(
            "no-implementation",
            "no kernel fits {0}",
            "stop what else runs and give `compile` a larger --workspace: kernels that want more "
            "memory than there is are passed over",
        ),
    ),
    (
        r"No space left on device",
        Failure(
            "disk-full",
            "the disk is full",
            "free some space where the engine is written",
            transient=True,
        ),
    ),
    (
        r"(?:out of memory|Cuda failure: 2\b|cudaErrorMemoryAllocation|OutOfMemory|bad_alloc)",
        Failure(
            "out-of-memory",
            "memory ran out while the engine was built",
            "stop what else runs, or give `compile` a smaller --workspace",
            transient=True,
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
            "remove it and compile again on this device",
        ),
    ),
)
"""Patterns of a log's lines, the most telling first; {0} is what the pattern caught."""

MARKED_LINE = re.compile(r"(?:\[[^\]]*\] ?)*?\[([FEWIV])\](?: ?\[TRT\])?\s*(.*)")
"""A line of TensorRT's: "[11/22/2026-12:00:00] [E] [TRT] ...", from Python "[TRT] [E] ..."."""

ERROR_MARKS = ("F", "E")

MAX_NAMED_NODES = 3
"""So many nodes does a diagnosis name; the log names all."""


def diagnose(log: str, code: int, log_name: str) -> Failure:
    """Why TensorRT ended without doing what it was asked.

    What it marks as a warning or less ended nothing, whatever words it uses: a kernel passed over
    for want of memory is no failure. What bears no mark is the loader's, Python's or the kernel's.

    Args:
        log: All that it printed.
        code: Its exit code, negative for a signal.
        log_name: Where a person can read all of that.
    """
    refused = parser_errors(log)
    if refused:
        return _unread(refused, log_name)
    errors, unmarked = _lines(log)
    known = _known(errors) or _known(unmarked)
    if known:
        return known
    if code == -signal.SIGKILL:
        return Failure(
            "killed",
            "TensorRT was killed, as the system does when memory runs out",
            "stop what else runs, or add swap",
            transient=True,
        )
    if code < 0:
        name = signal.Signals(-code).name
        return Failure("crashed", f"TensorRT crashed ({name})", f"report it with {log_name}")
    if errors:
        # They follow from one another: the first says why.
        return Failure("refused", errors[0], f"see {log_name} for all of it")
    last = f"; the last it said: {unmarked[-1][:200]}" if unmarked else ""
    return Failure("unclear", f"TensorRT ended with {code} and no error{last}", f"see {log_name}")


def diagnose_timeout(log: str, timeout_s: float) -> Failure:
    """Why there is no engine when time ran out: with the last that was said.

    Args:
        log: All that was printed.
        timeout_s: How long it was let run.
    """
    lines = log.split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return Failure(
        "hung",
        f"TensorRT was stopped after {timeout_s:g} s, the last it said was: {last[-200:]}",
        "stop what else runs, hold the clocks (sudo jetson_clocks) and try again",
        transient=True,
    )


def _lines(log: str) -> tuple[list[str], list[str]]:
    """The messages marked as errors, and the lines without a mark, trtexec's own banner apart."""
    errors, unmarked = [], []
    for line in log.splitlines():
        mark = MARKED_LINE.match(line)
        if mark is None and line.strip() and not line.startswith("&&&&"):
            unmarked.append(line.strip())
        elif mark is not None and mark[1] in ERROR_MARKS and mark[2]:
            errors.append(mark[2].strip())
    return errors, unmarked


def _known(lines: list[str]) -> Failure | None:
    text = "\n".join(lines)
    for pattern, failure in KNOWN_FAILURES:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            # A plugin that is not found is not always called by its name.
            caught = next((group.strip() for group in found.groups() if group), "such operator")
            diagnosis = failure.diagnosis.format(caught)
            return Failure(failure.kind, diagnosis, failure.remedy, failure.transient)
    return None


def _unread(refused: list[ParserError], log_name: str) -> Failure:
    known = _known([error.reason for error in refused])
    named = "; ".join(map(str, refused[:MAX_NAMED_NODES]))
    rest = f"; and {len(refused) - MAX_NAMED_NODES} more" if len(refused) > MAX_NAMED_NODES else ""
    what = "a node" if len(refused) == 1 else f"{len(refused)} nodes"
    return Failure(
        known.kind if known else "refused",
        f"TensorRT cannot read {what} of the graph: {named}{rest}",
        known.remedy if known else f"see {log_name} for all of it",
    )
