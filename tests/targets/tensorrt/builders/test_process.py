"""A build ends with whoever waits for it, whatever ends that: with processes really killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from targets.tensorrt.builders.process import LAUNCHER, run_logged
from targets.tensorrt.diagnosis.failures import BuildError
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
places = BuildFiles(*(folder / name for name in names))
asked = (Options("fp16", "weak"), places, (1, 3, 8, 8), folder / "log", 600)
# In a thread, as a Prefect worker builds: the main one goes on.
threading.Thread(target=builder.build, args=asked).start()
threading.Event().wait()
"""


def is_alive(process_id):
    """A killed process that nobody has waited for yet is dead all the same."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


def process_id(log):
    """That a stand-in says in the log, once it does."""
    words = log.read_text().split() if log.exists() else []
    return int(words[words.index("pid") + 1]) if "pid" in words[:-1] else None


@pytest.mark.parametrize("kind", ["trtexec", "bindings"])
def test_a_build_does_not_outlive_its_killed_parent(monkeypatch, tmp_path, kind):
    install_trtexec_stand_in(monkeypatch, tmp_path, "8.5")
    monkeypatch.setenv("STANDIN_FAILS", "hung")
    stand_in = ROOT / "tests/support/bindings_stand_in"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(stand_in)]))
    with subprocess.Popen([sys.executable, "-c", BUILD, kind, str(tmp_path)]) as parent:
        try:
            built_by = wait_for(lambda: process_id(tmp_path / "log"))
            assert built_by and is_alive(built_by)
        finally:
            parent.kill()
    assert wait_for(lambda: not is_alive(built_by), 10)


def test_what_was_orphaned_before_it_began_does_not_begin(tmp_path):
    done = subprocess.run([*LAUNCHER, "1", "touch", str(tmp_path / "made")], check=False)
    assert done.returncode == 1
    assert not (tmp_path / "made").exists()


def test_it_is_the_very_process_that_ends_and_says_how(tmp_path):
    """Its signal and its exit code are the program's own, and so is its environment."""
    program = "import os; os.kill(os.getpid(), 11)"
    with pytest.raises(BuildError, match="crashed"):
        run_logged([sys.executable, "-c", program], tmp_path / "log", 60)
    program = "import os; print(os.environ['HOME'], os.getpid() == os.getpgrp())"
    run_logged([sys.executable, "-c", program], tmp_path / "said", 60)
    assert (tmp_path / "said").read_text() == f"{os.environ['HOME']} True\n"


def test_a_program_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(BuildError, match="no-such-program cannot be run"):
        run_logged(["no-such-program"], tmp_path / "log", 60)


def test_what_takes_too_long_is_killed_with_its_children(tmp_path):
    program = "sleep 600 & echo pid $!; wait"
    with pytest.raises(BuildError, match=r"stopped after 1 s"):
        run_logged(["sh", "-c", program], tmp_path / "log", 1)
    assert wait_for(lambda: not is_alive(process_id(tmp_path / "log")), 10)
