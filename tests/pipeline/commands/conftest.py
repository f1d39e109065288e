"""Commands that run in the process of the test."""

import pytest

from pipeline.cli import main


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a command in this process; return its exit code, standard output and error."""

    def run_command(*arguments, store):
        monkeypatch.setenv("DATAFREE_EDGE_STORE", str(store))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        out, err = capfd.readouterr()
        return ended.value.code, out, err

    return run_command


@pytest.fixture
def refusal(run, tmp_path):
    """Run a command that must fail; return its one line after checking that nothing is left."""

    def run_refused(*arguments):
        output = tmp_path / "out"
        code, out, err = run(*arguments, "--output", output, store=tmp_path / "store")
        assert code == 1, err
        lines = [line for line in err.splitlines() if line.startswith("datafree-edge:")]
        assert len(lines) == 1, err
        assert "Traceback" not in err + out
        assert not output.exists()
        assert not list(tmp_path.rglob("*.part"))
        return lines[0]

    return run_refused
