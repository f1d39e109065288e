"""The run file that a teacher's file suggests. Every guess in it is marked."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from base.durable_files import write_durably
from base.errors import InputError
from base.one_line import one_line
from pipeline.inspection.contents import FileContents
from pipeline.inspection.input_guesses import guess_input
from pipeline.inspection.suggested_graph import input_lines, output_lines

OWN_NETWORK = "package.module:factory"

LISTED = 4
"""Largest number of other choices in a comment."""


def check_run_file(run_file: Path) -> None:
    """Check that a run file can be written.

    Raises:
        InputError: If the file exists, or if its folder does not.
    """
    if run_file.exists():
        raise InputError(f"{run_file}: already exists; choose another name for --write")
    if not run_file.absolute().parent.is_dir():
        raise InputError(f"{run_file}: its folder does not exist; create it first")


def write_suggested_run(contents: FileContents, run_file: Path) -> None:
    """Write the suggested run file.

    Raises:
        InputError: As `check_run_file`, or if the teacher's file suggests none.
    """
    check_run_file(run_file)
    write_durably(run_file, suggested_run(contents, run_file))


def suggested_run(contents: FileContents, run_file: Path) -> str:
    """Return the text of a run file for a teacher's file.

    Args:
        contents: What the teacher's file holds.
        run_file: Where the run file will be. The path of the weights starts there.

    Raises:
        InputError: If the file is a program.
    """
    if not contents.state_dicts and contents.graph is None:
        raise InputError(
            f"teacher {contents.file}: a program, which is not opened because that can run code; "
            "write the run file yourself, with teacher.trusted: true if you trust its author"
        )
    return "\n".join(_lines(contents, run_file)) + "\n"


def _lines(contents: FileContents, run_file: Path) -> Iterator[str]:
    yield "# Written by `datafree-edge inspect`. Check the guesses: no weights file has them."
    yield f"name: {_name(contents.file)}"
    yield "teacher:"
    yield f"  weights: {json.dumps(_weights(contents.file, run_file))}"
    if contents.graph:
        yield from output_lines(contents.graph)
        yield from input_lines(contents.graph)
    else:
        yield from _network_lines(contents)
    yield "student: same"


def _network_lines(contents: FileContents) -> Iterator[str]:
    """Yield the lines about a state dict's network and its images."""
    state = contents.state_dicts[0]
    match = contents.matches[0] if contents.matches else None
    channels, classes = state.channels or 3, state.classes or 2
    if match:
        channels, classes = match.channels, match.classes
    yield from _key_lines(contents)
    if match:
        others = [each.architecture for each in contents.matches[1:]]
        shown = ", ".join(others[:LISTED]) + (", ..." if len(others) > LISTED else "")
        guess = f" # guess: these fit too: {shown}" if others else ""
        yield f"  architecture: {match.architecture}{guess}"
        if match.width != 1.0:
            yield f"  width: {match.width:g}"
    else:
        yield f"  architecture: {OWN_NETWORK} # guess: no known network fits; name your own"
    known = match or state.classes
    yield f"  classes: {classes}" + ("" if known else " # guess: no last layer was found")
    image = guess_input(match, channels, classes, contents.file)
    yield "input:"
    yield f"  shape: [{channels}, {image.size[0]}, {image.size[1]}] # guess: {image.source}"
    yield f"  mean: {list(image.mean)} # guess: {image.source}"
    yield f"  std: {list(image.std)} # guess: {image.source}"
    for key, value in image.pictures.items():
        yield f"  {key}: {value} # guess: {image.source}"


def _key_lines(contents: FileContents) -> Iterator[str]:
    state = contents.state_dicts[0]
    others = [each.key for each in contents.state_dicts[1:]]
    prefixes = sorted(contents.matches[0].prefixes) if contents.matches else []
    parts = [state.key] if state.key else []
    if len(prefixes) > 1:  # The file has the network more than once.
        prefixes.sort(key=lambda prefix: "ema" not in prefix)
        parts.append(prefixes[0].rstrip("."))
        others += [prefix.rstrip(".") for prefix in prefixes[1:]]
    if others:
        also = one_line(", ".join(others))
        yield f"  weights_key: {json.dumps('.'.join(parts))} # guess: also {also}"


def _name(url: str) -> str:
    """Return the name of the run, from the file's name, as YAML."""
    stem = url.split("?")[0].rstrip("/").rpartition("/")[2].partition(".")[0]
    name = re.sub("[^a-z0-9_-]+", "-", stem.lower()).strip("-_")[:100] or "teacher"
    # YAML reads 123 as a number and no as false.
    return name if yaml.safe_load(name) == name else json.dumps(name)


def _weights(url: str, run_file: Path) -> str:
    """Return the path of the weights relative to the run file's folder, or their URL."""
    return url if "://" in url else os.path.relpath(url, run_file.parent)
