"""Whether a command of the documentation exists, with its options, without running it."""

import io
import re
import shlex
from contextlib import redirect_stdout
from functools import cache

from tests.support.quick_run import ROOT


def check_command(line: str) -> None:
    """Raise AssertionError if a command or one of its options does not exist.

    Commands of `datafree-edge`, `python -m PACKAGE`, `prefect` and `make` are checked, also behind
    variables such as `A=b make test`. Other programs are not the project's.
    """
    words = [word for word in shlex.split(line, comments=True) if word != "&"]
    while words and re.fullmatch(r"\w+=.*", words[0]):
        del words[0]
    if words[:1] == ["datafree-edge"]:
        _check_datafree_edge(words[1:])
    elif words[:2] == ["python", "-m"]:
        _check_module(words[2], words[3:])
    elif words[:1] == ["prefect"]:
        _check_prefect(words[1:])
    elif words[:1] == ["make"]:
        _check_make(words[1:])


def _check_datafree_edge(words: list[str]) -> None:
    import typer

    from pipeline.cli import app

    command, path = typer.main.get_command(app), "datafree-edge"
    while words and not words[0].startswith("-") and getattr(command, "commands", None):
        assert words[0] in command.commands, f"{path}: no command {words[0]!r}"
        command, path = command.commands[words[0]], f"{path} {words[0]}"
        del words[0]
    options = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}
    _check_options(words, options | {"--help"}, path)


def _check_module(module: str, words: list[str]) -> None:
    parts = ROOT.joinpath(*module.split("."))
    exists = parts.with_suffix(".py").is_file() or (parts / "__main__.py").is_file()
    inside = (ROOT / module.split(".")[0]).is_dir()
    assert exists or not inside, f"there is no module {module}"
    if module == "targets":
        command = [] if not words or words[0].startswith("-") else [words[0]]
        options = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", _targets_help(*command)))
        _check_options(words, options, f"python -m targets {' '.join(command)}")


@cache
def _targets_help(*command: str) -> str:
    from targets.command_line import main

    shown = io.StringIO()
    with redirect_stdout(shown):
        try:
            main([*command, "--help"])
        except SystemExit as end:
            assert end.code == 0, f"python -m targets: no command {command}"
    return shown.getvalue()


def _check_prefect(words: list[str]) -> None:
    from cyclopts import CycloptsError
    from prefect.cli._app import _app

    words = [word for word in words if word not in ("--no-prompt", "--prompt")]
    try:
        _app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        raise AssertionError(f"prefect {' '.join(words)}: {error}") from None


def _check_make(words: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for word in words:
        if not word.startswith("-") and "=" not in word:
            assert word in targets, f"the Makefile has no target {word!r}"


def _check_options(words: list[str], options: set[str], path: str) -> None:
    for word in words:
        if re.match(r"--?[a-zA-Z]", word):
            assert word.split("=")[0] in options, f"{path}: no option {word!r}"
