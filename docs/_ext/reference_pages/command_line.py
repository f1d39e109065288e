"""The command reference, from the two command lines themselves."""

import argparse
from pathlib import Path
from typing import Any

import typer

from reference_pages.markdown import code, table


def datafree_edge_commands() -> str:
    """Return one heading and one table of options for each command of `datafree-edge`."""
    from pipeline.cli import app

    program: Any = typer.main.get_command(app)
    parts = [
        _typer_command(name, command)
        for name, command in program.commands.items()
        if not command.hidden
    ]
    return "\n\n".join(parts)


def _typer_command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join(["datafree-edge", name, *map(_typer_argument, arguments)])
    rows = [(code(_typer_argument(p)), p.help or "", "") for p in arguments]
    rows += [
        (code(", ".join(p.opts)), p.help or "", "required" if p.required else _default(p.default))
        for p in options
    ]
    return _page(f"datafree-edge {name}", usage, command.help or "", rows, command.epilog or "")


def _typer_argument(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    return name if parameter.required else f"[{name}]"


def targets_commands() -> str:
    """Return one heading and one table of options for each command of `python -m targets`."""
    from targets.command_line import _parser

    (commands,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    parts = []
    for name, parser in commands.choices.items():
        actions = [a for a in parser._actions if not isinstance(a, argparse._HelpAction)]
        positional = [a for a in actions if not a.option_strings]
        usage = " ".join(["python -m targets", name, *(a.dest.upper() for a in positional)])
        rows = [
            (
                code(", ".join(action.option_strings) or action.dest.upper()),
                action.help or "",
                "required"
                if action.required and action.option_strings
                else _default(action.default),
            )
            for action in actions
        ]
        description = parser.description or ""
        parts.append(
            _page(f"python -m targets {name}", usage, description, rows, parser.epilog or "")
        )
    return "\n\n".join(parts)


def _default(value: object) -> str:
    """Return the default of an option, with the home folder written as `~`."""
    if value is None or value is False or value == "" or callable(value):
        return ""
    return code(str(value).replace(str(Path.home()), "~"))


def _page(
    title: str, usage: str, description: str, rows: list[tuple[str, str, str]], epilog: str
) -> str:
    parts = [f"## `{title}`", f"```text\n{usage}\n```", description]
    if rows:
        parts.append(table(("argument or option", "meaning", "default"), rows))
    lines = [line.strip() for line in epilog.splitlines()]
    codes = next(line for line in lines if line.lower().startswith("exit codes: "))
    parts.append(f"{codes[0].upper()}{codes[1:].rstrip('.')}.")
    examples = [line for line in lines if line.startswith(title.split()[0])]
    if examples:
        parts.append("```text\n" + "\n".join(examples) + "\n```")
    return "\n\n".join(part.strip() for part in parts if part)
