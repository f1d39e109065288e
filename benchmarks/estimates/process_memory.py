"""Measure the memory of a command and of all its child processes."""

import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

INTERVAL_S = 0.2


@dataclass(frozen=True)
class Finished:
    """A finished command.

    Attributes:
        code: Its exit code.
        output: Its standard output.
        errors: Its standard error.
        peak_bytes: The largest memory of all its processes together, sampled five times a second.
    """

    code: int
    output: str
    errors: str
    peak_bytes: int


def run_measured(command: Sequence[str]) -> Finished:
    """Run a command to its end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ended, peaks = threading.Event(), [0]

    def sample() -> None:
        while not ended.wait(INTERVAL_S):
            peaks.append(_tree_bytes(process.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    output, errors = process.communicate()
    ended.set()
    sampler.join()
    return Finished(process.returncode, output, errors, max(peaks))


def _tree_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants; 0 if it has ended."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in processes:
        try:
            # Forks share pages with their parent; the proportional size counts them once.
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total
