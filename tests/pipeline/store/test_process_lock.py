"""Two processes that need the same step: the second waits, and reuses the result or takes over."""

import subprocess
import sys
from socket import gethostname

import pytest

from tests.support.quick_run import ROOT, write_run

RUN_TEACHER_STEP = """
import sys
from pipeline.chain import run_step
from pipeline.config.run_file import read_run_file
from pipeline.roles import TEACHER
from pipeline.step_types import StepResult
from pipeline.steps import teacher
from pipeline.store.process_lock import ProcessLock
from pipeline.store.store import Store

class Printer:
    def say(self, line):
        print(line, flush=True)

def run(context):
    print("working", flush=True)
    sys.stdin.readline()
    (path := context.folder / "teacher").write_text("weights")
    return StepResult({TEACHER: path})

teacher.run = run
store = Store(sys.argv[2])
config = read_run_file(sys.argv[1])
record = run_step(teacher.STEP, config, {}, store, Printer(), ProcessLock(store))
print("finished")
"""


@pytest.fixture
def two(tmp_path):
    """A process that is working at a step, and one that waits for it."""
    run_file, processes = write_run(tmp_path), []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", RUN_TEACHER_STEP, str(run_file), str(tmp_path / "store")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    first = start()
    assert first.stdout.readline() == "working\n"
    second = start()
    line = second.stdout.readline()
    assert f"teacher: another run (process {first.pid} on {gethostname()} since 20" in line
    assert line.endswith("UTC) is doing this step; waiting for it\n")
    yield first, second
    for process in processes:
        process.kill()
        process.communicate()


def lock_files(folder):
    """Return the locks that are left. While a process waits, it may create the file again."""
    return list(folder.rglob("*.lock"))


def test_second_process_waits_and_reuses_the_result(two, tmp_path):
    first, second = two
    assert first.communicate("\n", timeout=60)[0] == "finished\n"
    assert second.communicate(timeout=60)[0] == "teacher: reused\nfinished\n"
    assert not lock_files(tmp_path / "store")


def test_lock_of_a_killed_process_is_taken_over(two, tmp_path):
    first, second = two
    first.kill()
    assert second.stdout.readline() == "working\n"
    assert second.communicate("\n", timeout=60)[0] == "finished\n"
    assert not lock_files(tmp_path / "store")


def test_lock_of_a_remote_store_is_in_the_cache(tmp_path, monkeypatch):
    from pipeline.store.process_lock import ProcessLock
    from pipeline.store.store import Store

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ProcessLock(Store(f"memory://{tmp_path.name}"))("ab", list, print, str):
        assert (tmp_path / "datafree-edge" / "locks" / "ab.lock").exists()
    assert not list(tmp_path.rglob("*.lock"))
