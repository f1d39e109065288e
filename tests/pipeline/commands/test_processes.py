"""What depends on a process: exit codes, a closed pipe, modules that are not installed, signals."""

import signal
import tempfile
from pathlib import Path

from base.bug_report import bug_line
from tests.support.command_line import run_process, start
from tests.support.quick_run import write_run


def test_exit_codes_of_processes(tmp_path):
    for arguments, expected in (
        (("recipes",), 0),
        (("check", tmp_path / "none.yaml"), 1),
        (("rnu",), 64),
    ):
        code, _, err = run_process(*arguments, store=tmp_path)
        assert code == expected, err


def test_sigterm_ends_a_run_with_one_line_and_its_temporary_files(tmp_path, monkeypatch):
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = start("run", write_run(tmp_path), store=tmp_path / "store")
    for line in process.stderr:
        if line.startswith("distill "):
            break
    assert list(temporary.iterdir())
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    last = err.splitlines()[-1]
    assert last == "datafree-edge: interrupted; run the same command again to continue"
    assert "Traceback" not in err
    assert not [path for path in temporary.iterdir() if path.name.startswith("datafree-edge-")]


def test_unexpected_error_is_one_line_with_the_step_and_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    prelude = (
        "import pipeline.steps.teacher as step\n"
        "def run(context): return {}['missing\\nkey']\n"
        "step.run = run"
    )
    code, _, err = run_process("run", write_run(tmp_path), store=tmp_path, prelude=prelude)
    assert code == 1
    line = err.splitlines()[-1]
    start = "datafree-edge: unexpected KeyError in step teacher: 'missing\\nkey'; this is a bug; "
    assert line.startswith(start)
    assert "Traceback" not in err
    report = Path(line.rpartition(": ")[2])
    assert report.parent == tmp_path
    text = report.read_text()
    assert text.startswith("Traceback (most recent call last):")
    assert "in _run\n" in text
    assert "KeyError: 'missing\\nkey'" in text


def test_failed_allocation_of_numpy_is_not_called_a_bug(tmp_path):
    prelude = (
        "import pipeline.config.recipe_card as card\n"
        "def fail(): raise MemoryError('Unable to allocate 8 TiB')\n"
        "card.recipe_list = fail"
    )
    code, _, err = run_process("recipes", store=tmp_path, prelude=prelude)
    assert code == 1
    assert err.startswith("datafree-edge: out of memory; ")


def test_unexpected_error_is_one_line_if_no_file_can_be_written(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("full")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    line = bug_line(ZeroDivisionError("division by zero"))
    assert line.startswith("unexpected ZeroDivisionError: division by zero; this is a bug; ")
    assert "ZeroDivisionError: division by zero" in line.partition("traceback: ")[2]


def test_closed_pipe_is_one_line_and_no_traceback(tmp_path):
    process = start("recipes", store=tmp_path)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) != 0
    assert "Traceback" not in err


def test_missing_training_modules_are_one_line(tmp_path):
    prelude = "import sys\nfor name in ('torch', 'nncf'): sys.modules[name] = None"
    code, out, _ = run_process("recipes", store=tmp_path, prelude=prelude)
    assert code == 0
    assert "pre-dfkd" in out
    code, _, err = run_process("check", write_run(tmp_path), store=tmp_path, prelude=prelude)
    assert code == 1
    assert err.splitlines() == [
        "datafree-edge: torch is not installed; run: pip install 'datafree-edge[train]'"
    ]
