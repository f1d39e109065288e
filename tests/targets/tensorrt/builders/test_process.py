"""Builds end with their parent process; the tests kill real processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from targets.tensorrt.builders.process import LAUNCHER, run_logged
from targets.tensorrt.diagnosis.failure import BuildError
from tests.support.quick_run import ROOT
from tests.support.trtexec.install import install_trtexec_stand_in

BUILD = """
import json, sys, threading
from pathlib import Path
from targets.tensorrt.builders.bindings import find_bindings
from targets.tensorrt.options import Options, BuildFiles
from targets.tensorrt.builders.trtexec import find_trtexec

kind, folder = sys.argv[1], Path(sys.argv[2])
builder = find_trtexec() if kind == "trtexec" else find_bindings()
names = ("g.onnx", "e.part", "t.cache", "l.json", "t.json")
files = BuildFiles(*(folder / name for name in names))
arguments = (Options("fp16", "weak"), files, (1, 3, 8, 8), folder / "log", 600)
# In a thread, as in a Prefect worker, while the main thread continues.
threading.Thread(target=builder.build, args=arguments).start()
threading.Event().wait()
"""


def is_alive(process_id):
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def process_id(log):
    """Return the process id that a stand-in wrote to the log, or None."""
    words = log.read_text().split() if log.exists() else []
    return int(words[words.index("pid") + 1]) if "pid" in words[:-1] else None


@pytest.mark.parametrize("kind", ["trtexec", "bindings"])
def test_build_ends_when_its_parent_is_killed(monkeypatch, tmp_path, kind):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    monkeypatch.setenv("STANDIN_FAILS", "hung")
    stand_in = ROOT / "tests/support/bindings_stand_in"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(stand_in)]))
    with subprocess.Popen([sys.executable, "-c", BUILD, kind, str(tmp_path)]) as parent:
        try:
            builder_id = wait_for(lambda: process_id(tmp_path / "log"))
            assert builder_id and is_alive(builder_id)
        finally:
            parent.kill()
    assert wait_for(lambda: not is_alive(builder_id), 10)


def test_launcher_does_not_start_an_orphan(tmp_path):
    done = subprocess.run([*LAUNCHER, "1", "touch", str(tmp_path / "made")], check=False)
    assert done.returncode == 1
    assert not (tmp_path / "made").exists()


def test_run_logged_keeps_signal_environment_and_process_group(tmp_path):
    program = "import os; os.kill(os.getpid(), 11)"
    with pytest.raises(BuildError, match="crashed"):
        run_logged([sys.executable, "-c", program], tmp_path / "log", 60)
    program = "import os; print(os.environ['HOME'], os.getpid() == os.getpgrp())"
    run_logged([sys.executable, "-c", program], tmp_path / "output", 60)
    assert (tmp_path / "output").read_text() == f"{os.environ['HOME']} True\n"


def test_run_logged_reports_a_missing_program(tmp_path):
    with pytest.raises(BuildError, match="no-such-program cannot be run"):
        run_logged(["no-such-program"], tmp_path / "log", 60)


def test_run_logged_kills_children_after_the_time_limit(tmp_path):
    program = "sleep 600 & echo pid $!; wait"
    with pytest.raises(BuildError, match=r"stopped after 1 s"):
        run_logged(["sh", "-c", program], tmp_path / "log", 1)
    assert wait_for(lambda: not is_alive(process_id(tmp_path / "log")), 10)
