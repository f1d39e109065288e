"""The command about teachers' files: inspect."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from base.one_line import one_line


def inspect(
    file: Annotated[
        str,
        typer.Argument(
            help="A weights file, checkpoint or ONNX graph: a path or a URL.", metavar="FILE"
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    write: Annotated[
        Path | None,
        typer.Option(help="Write the run file that the weights suggest; guesses are marked."),
    ] = None,
) -> None:
    """Print what a teacher's file holds, and which known networks have its weights.

    No code in the file is run.
    """
    from pipeline.inspection.contents import inspect_file
    from pipeline.inspection.lines import content_lines
    from pipeline.inspection.suggested_run import check_run_file, write_suggested_run
    from pipeline.training.progress import reporter

    if write is not None:
        check_run_file(write)
    with reporter() as progress:
        contents = inspect_file(file, progress)
    if as_json:
        typer.echo(json.dumps(asdict(contents), indent=2))
    else:
        for line in content_lines(contents):
            indent = len(line) - len(line.lstrip(" "))
            typer.echo(" " * indent + one_line(line))  # The file may contain any characters.
    if write is not None:
        write_suggested_run(contents, write)
        if not as_json:
            typer.echo(f"{write}: written; check the lines marked as guesses")
