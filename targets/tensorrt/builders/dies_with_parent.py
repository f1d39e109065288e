"""Becomes another program, which Linux kills as soon as the one that started it is gone.

python dies_with_parent.py PARENT COMMAND...

A program of its own, not a function run between fork and exec: that may hang where the parent has
threads, as a Prefect worker has. It takes none of this project's modules, so it starts at once.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; it survives an exec."""


def main(parent: str, *command: str) -> int:
    """Never comes back where the command can be run.

    Args:
        parent: Process id of the one that starts this.
        command: What to become.
    """
    unused = [ctypes.c_ulong(0)] * 3
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), *unused):
        print("[W] this system cannot end a build with what started it", flush=True)
    # It may have died before it was asked for: then nothing comes any more.
    if os.getppid() != int(parent):
        return 1
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"[E] {command[0]} cannot be run ({error.strerror})", file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
