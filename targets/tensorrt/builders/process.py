"""A program run under a time limit, its words kept, its end told apart."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from targets.tensorrt.diagnosis.failures import BuildError, diagnose, diagnose_timeout

LAUNCHER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("dies_with_parent.py")))


def run_logged(command: Sequence[str], log: Path, timeout_s: float) -> None:
    """Run a program; all that it prints goes to the end of a log, also while it runs.

    Whatever ends this process's wait, the program and its children end with it; when this process
    is killed outright, the program is killed by Linux, so that no orphan writes what the next try
    writes. Linux goes by the thread that started it, and that is the one which waits here.

    Raises:
        BuildError: When it fails, is killed, or takes longer than it may.
    """
    with log.open("ab") as file:
        file.seek(0, os.SEEK_END)
        start = file.tell()
        process = subprocess.Popen(
            [*LAUNCHER, str(os.getpid()), *command],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code != 0:
        said = log.read_bytes()[start:].decode(errors="replace")
        if code is None:
            raise BuildError(diagnose_timeout(said, timeout_s))
        raise BuildError(diagnose(said, code, log.name))
