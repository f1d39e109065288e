"""A program run under a time limit, its words kept, its end told apart."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from targets.tensorrt.failures import BuildError, diagnose


def run_logged(command: Sequence[str], log: Path, seconds: float) -> None:
    """Run a program; all that it prints goes to the end of a log, also while it runs.

    Whatever ends this process's wait, the program and its children end with it.

    Raises:
        BuildError: When it fails, is killed, or takes longer than it may.
    """
    with log.open("ab") as file:
        file.seek(0, os.SEEK_END)
        start = file.tell()
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code != 0:
        said = log.read_bytes()[start:].decode(errors="replace")
        raise BuildError(diagnose(said, code))
