"""Help texts."""

import pytest

COMMANDS = ["run", "check", "validate", "recipes", "releases", "fetch", "roll-back", "collect"]
COMMANDS += ["score", "predict", "benchmark", "inspect", "runs", "compare"]


@pytest.mark.parametrize("name", [*COMMANDS, "sign", "verify", "lint"])
def test_help_shows_an_example_and_the_exit_codes(run, name, tmp_path):
    code, out, _ = run(name, "--help", store=tmp_path)
    assert code == 0
    assert f"datafree-edge {name}" in out.split("Example")[1]
    codes = " ".join(out.split("Exit codes:")[1].split())
    assert "1 an error" in codes
    assert "64 a wrong command line" in codes
    assert ("2 fail; 3 inconclusive" in codes) == (name in ("run", "validate"))


def test_help_lists_every_command_but_the_former_one(run, tmp_path):
    code, out, _ = run("--help", store=tmp_path)
    assert code == 0
    assert all(f" {name} " in out for name in [*COMMANDS, "sign", "verify", "lint"])
    assert " service " not in out
