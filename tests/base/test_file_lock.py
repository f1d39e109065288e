"""Two builds in one folder: the second waits, also where the first one's process died."""

import os
import signal
import subprocess
import sys
import threading

from base.file_lock import alone

HOLD = """
import sys, time
from pathlib import Path
from base.file_lock import alone
with alone(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_waits_until_the_first_is_done(tmp_path):
    said, order = [], []
    waits = threading.Event()

    def second():
        def say(line):
            said.append(line)
            waits.set()

        with alone(tmp_path / "built", say):
            order.append("second")

    other = threading.Thread(target=second)
    with alone(tmp_path / "built", said.append):
        other.start()
        assert waits.wait(30)
        order.append("first")
    other.join(30)
    assert order == ["first", "second"]
    assert said == [f"another build is at work in {tmp_path / 'built'}; waiting for it"]


def test_the_dead_hold_nothing(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "built")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        os.kill(process.pid, signal.SIGKILL)
    said = []
    with alone(tmp_path / "built", said.append):
        assert said == []
