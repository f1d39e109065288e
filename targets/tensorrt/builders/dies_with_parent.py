"""Run a command that Linux kills as soon as its parent process ends.

python dies_with_parent.py PARENT COMMAND...

This is a separate program, because code between fork and exec can deadlock if the parent has
threads, as a Prefect worker has. It imports no module of this project, so it starts quickly.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; the setting survives an exec."""


def main(parent: str, *command: str) -> int:
    """Replace this process by a command; return an exit code only if that fails.

    Args:
        parent: Process id of the expected parent.
        command: The command to run.
    """
    unused = [ctypes.c_ulong(0)] * 3
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), *unused):
        print("[W] this system cannot stop a build when its parent ends", flush=True)
    # If the parent ended before prctl, no signal will come.
    if os.getppid() != int(parent):
        return 1
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"[E] {command[0]} cannot be run ({error.strerror})", file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
