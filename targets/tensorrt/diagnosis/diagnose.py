"""Diagnose a failed build from its log."""

import re
import signal

from targets.tensorrt.diagnosis.failure import Failure
from targets.tensorrt.diagnosis.known_failures import KNOWN_FAILURES
from targets.tensorrt.diagnosis.parser_errors import ParserError, parser_errors

MARKED_LINE = re.compile(r"(?:\[[^\]]*\] ?)*?\[([FEWIV])\](?: ?\[TRT\])?\s*(.*)")
"""A log line of TensorRT: "[11/22/2026-12:00:00] [E] [TRT] ...", from Python "[TRT] [E] ..."."""

ERROR_MARKS = ("F", "E")

MAX_NAMED_NODES = 3
"""Number of refused nodes in a diagnosis; the log contains all."""

MAX_QUOTED_CHARACTERS = 200


def diagnose(log: str, code: int, log_name: str) -> Failure:
    """Return why TensorRT failed.

    Lines marked as warning or less are ignored, whatever their words: a kernel skipped for lack of
    memory is not a failure. Unmarked lines come from the loader, Python or the operating system.

    Args:
        log: TensorRT's output.
        code: Its exit code, negative for a signal.
        log_name: Where a person finds the output, for the remedy.
    """
    refused = parser_errors(log)
    if refused:
        return _refused_nodes(refused, log_name)
    errors, unmarked = _error_lines(log)
    known = _known_failure(errors) or _known_failure(unmarked)
    if known:
        return known
    if code == -signal.SIGKILL:
        return Failure(
            "killed",
            "TensorRT was killed, probably because the system ran out of memory",
            "stop other programs, or add swap space",
            transient=True,
        )
    if code < 0:
        name = signal.Signals(-code).name
        return Failure("crashed", f"TensorRT crashed ({name})", f"report it with {log_name}")
    if errors:
        # Later errors follow from the first.
        return Failure("refused", errors[0], f"see {log_name} for the full output")
    last = f"; last output: {unmarked[-1][:MAX_QUOTED_CHARACTERS]}" if unmarked else ""
    return Failure(
        "unclear", f"TensorRT exited with code {code} and no error{last}", f"see {log_name}"
    )


def diagnose_timeout(log: str, timeout_s: float) -> Failure:
    """Return the failure of a build that exceeded its time limit, with its last output.

    Args:
        log: TensorRT's output.
        timeout_s: The time limit.
    """
    lines = log.split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return Failure(
        "hung",
        f"TensorRT was stopped after {timeout_s:g} s, last output: {last[-MAX_QUOTED_CHARACTERS:]}",
        "stop other programs, lock the clocks (sudo jetson_clocks) and try again",
        transient=True,
    )


def _error_lines(log: str) -> tuple[list[str], list[str]]:
    """Return the messages marked as errors, and the unmarked lines without trtexec's banner."""
    errors, unmarked = [], []
    for line in log.splitlines():
        mark = MARKED_LINE.match(line)
        if mark is None and line.strip() and not line.startswith("&&&&"):
            unmarked.append(line.strip())
        elif mark is not None and mark[1] in ERROR_MARKS and mark[2]:
            errors.append(mark[2].strip())
    return errors, unmarked


def _known_failure(lines: list[str]) -> Failure | None:
    text = "\n".join(lines)
    for pattern, failure in KNOWN_FAILURES:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            # The message about a missing plugin does not always name it.
            caught = next((group.strip() for group in found.groups() if group), "such an operator")
            diagnosis = failure.diagnosis.format(caught)
            return Failure(failure.kind, diagnosis, failure.remedy, failure.transient)
    return None


def _refused_nodes(refused: list[ParserError], log_name: str) -> Failure:
    known = _known_failure([error.reason for error in refused])
    named = "; ".join(map(str, refused[:MAX_NAMED_NODES]))
    more = f"; and {len(refused) - MAX_NAMED_NODES} more" if len(refused) > MAX_NAMED_NODES else ""
    what = "a node" if len(refused) == 1 else f"{len(refused)} nodes"
    return Failure(
        known.kind if known else "refused",
        f"TensorRT cannot parse {what} of the graph: {named}{more}",
        known.remedy if known else f"see {log_name} for the full output",
    )
