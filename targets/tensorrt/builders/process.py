"""Run a program with a time limit and a log, and diagnose its failure."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from targets.tensorrt.diagnosis.diagnose import diagnose, diagnose_timeout
from targets.tensorrt.diagnosis.failure import BuildError

LAUNCHER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("dies_with_parent.py")))
"""Command prefix that ties a program's life to its parent's."""


def run_logged(command: Sequence[str], log: Path, timeout_s: float) -> None:
    """Run a program and append its output to a log while it runs.

    If this function is interrupted, the program and its children are killed. If this process is
    killed, Linux kills the program, so that no orphan writes the files of the next attempt. Linux
    watches the thread that started the program, which is the one that waits here.

    Args:
        command: Program and arguments.
        log: File to append to.
        timeout_s: Time limit.

    Raises:
        BuildError: If the program fails, is killed, or exceeds the time limit.
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
        output = log.read_bytes()[start:].decode(errors="replace")
        if code is None:
            raise BuildError(diagnose_timeout(output, timeout_s))
        raise BuildError(diagnose(output, code, log.name))
