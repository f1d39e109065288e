"""Commands of `datafree-edge` in processes of their own."""

import os
import signal
import subprocess
import sys

from tests.support.quick_run import ROOT


def start(*arguments, store, prelude=""):
    """Start a command in a process of its own, after running `prelude` there."""
    code = f"{prelude}\nfrom pipeline.cli import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "DATAFREE_EDGE_STORE": str(store)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job inherits an ignored SIGINT; a command in a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run_process(*arguments, store, prelude=""):
    """Run a command in a process of its own; return its exit code, standard output and error."""
    process = start(*arguments, store=store, prelude=prelude)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err
