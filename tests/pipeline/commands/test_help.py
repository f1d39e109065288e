"""Help texts."""

import pytest

COMMANDS = ["run", "check", "validate", "recipes", "releases", "fetch", "roll-back", "collect"]
COMMANDS += ["score", "predict", "benchmark"]


@pytest.mark.parametrize("name", [*COMMANDS, "sign", "verify", "lint"])
def test_help_shows_an_example(run, name, tmp_path):
    code, out, _ = run(name, "--help", store=tmp_path)
    assert code == 0
    assert f"datafree-edge {name}" in out.split("Example")[1]


def test_help_lists_every_command_but_the_former_one(run, tmp_path):
    code, out, _ = run("--help", store=tmp_path)
    assert code == 0
    assert all(f" {name} " in out for name in [*COMMANDS, "sign", "verify", "lint"])
    assert " service " not in out
