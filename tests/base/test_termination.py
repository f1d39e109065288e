"""SIGTERM as an exception."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from base.termination import Terminated, descendants, raised_on_sigterm

WITH_GRANDCHILD = "import subprocess; subprocess.run(['sleep', '60'])"


def test_sigterm_raises_once_and_the_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    cleaned = []
    with pytest.raises(Terminated), raised_on_sigterm():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append(signal.getsignal(signal.SIGTERM))
    assert cleaned == [signal.SIG_DFL]
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_reaches_children_and_their_children():
    child = subprocess.Popen([sys.executable, "-c", WITH_GRANDCHILD])
    while len(found := [child.pid, *descendants(child.pid)]) < 2:
        assert child.poll() is None
    assert set(found) <= set(descendants(os.getpid()))
    with pytest.raises(Terminated), raised_on_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert child.wait(timeout=30) == -signal.SIGTERM
    while _is_running(found[1]):
        os.sched_yield()


def _is_running(process):
    """Return whether a process exists and has not ended; its parent may reap it late."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(") ")[2][0] != "Z"
