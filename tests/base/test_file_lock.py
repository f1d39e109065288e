"""The folder lock: a second process waits, and the lock of a dead process is free."""

import os
import signal
import subprocess
import sys
import threading

from base.file_lock import folder_lock

HOLD_LOCK = """
import sys, time
from pathlib import Path
from base.file_lock import folder_lock
with folder_lock(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


def test_folder_lock_makes_the_second_caller_wait(tmp_path):
    messages, order = [], []
    waiting = threading.Event()

    def second():
        def notify(line):
            messages.append(line)
            waiting.set()

        with folder_lock(tmp_path / "built", notify):
            order.append("second")

    thread = threading.Thread(target=second)
    with folder_lock(tmp_path / "built", messages.append):
        thread.start()
        assert waiting.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []
    folder = tmp_path / "built"
    assert messages == [f"another process is working in {folder}; waiting for it to finish"]


def test_folder_lock_is_free_after_its_holder_is_killed(tmp_path):
    command = [sys.executable, "-c", HOLD_LOCK, str(tmp_path / "built")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        os.kill(process.pid, signal.SIGKILL)
    messages = []
    with folder_lock(tmp_path / "built", messages.append):
        assert messages == []
