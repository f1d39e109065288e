"""Fenced code blocks of README.md and docs/ whose commands the tests run.

A comment on the line before a block says what happens to it:

    <!-- test: quick -->              run by `make test`; the pages about new parts (`add_*.md`)
                                      by `make test-server`
    <!-- test: server -->             run by `make test-server`
    <!-- test: slow -->               run by `make slow`
    <!-- test: not-run -->            commands and options are looked up, nothing is run

Options follow the tier: `name=ID` names a block; blocks with the same `group=ID` run in order, in
one shell and one folder, also across pages; `file=PATH` writes the block to a file of that folder
instead of running it. A marked block of the language `diff` is applied to the files of that folder.
"""

import re
import shlex
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tests.support.quick_run import ROOT

QUICK, SERVER, SLOW, NOT_RUN = TIERS = ("quick", "server", "slow", "not-run")

RUN_LANGUAGES = ("sh", "bash", "python")
"""Languages of blocks that must be marked."""

OPTIONS = ("name", "group", "file")

MARK = re.compile(r"<!-- test: (?P<tier>[\w-]+)(?P<options>( [\w-]+=\S+)*) -->")


class MarkError(ValueError):
    """A mark that cannot be read: FILE:LINE: what is wrong."""


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        page: The page's path, relative to the project's folder.
        line: Number of the line that opens the block.
        language: What follows the opening fence.
        text: The block's lines.
        tier: One of TIERS; None when the block is not marked.
        name: From the mark.
        group: From the mark; a block without a group is a group of its own.
        file: Path that the block is written to instead of being run.
    """

    page: str
    line: int
    language: str
    text: str
    tier: str | None = None
    name: str | None = None
    group: str | None = None
    file: str | None = None

    @property
    def place(self) -> str:
        """PAGE:LINE, for messages and test ids."""
        return f"{self.page}:{self.line}"

    @property
    def group_id(self) -> str:
        """The group, or the block's place when it has none."""
        return self.group or self.place


def pages(root: Path = ROOT) -> list[Path]:
    """Return README.md and all pages of docs/."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def blocks(root: Path = ROOT) -> list[Block]:
    """Return every fenced block of every page, in order."""
    return [block for page in pages(root) for block in read_page(page, root)]


def read_page(page: Path, root: Path) -> list[Block]:
    """Return the fenced blocks of one page.

    Raises:
        MarkError: If a mark is misspelled or no block follows it.
    """
    name, found = str(page.relative_to(root)), []
    mark, opened, content = None, None, []
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence = re.match(r"\s*```(\S*)", line)
        if opened is not None and fence and not fence[1]:
            text = "\n".join(content) + "\n"
            found.append(Block(name, *opened, text, **(mark or {})))
            mark, opened, content = None, None, []
        elif opened is not None:
            content.append(line)
        elif fence:
            opened = (number, fence[1])
        elif mark is not None:
            raise MarkError(f"{name}:{number}: a mark must be on the line before its block")
        elif "<!-- test:" in line:
            mark = _read_mark(line, f"{name}:{number}")
    return found


def _read_mark(line: str, place: str) -> dict[str, str]:
    match = MARK.fullmatch(line.strip())
    if match is None:
        raise MarkError(f"{place}: {line.strip()!r} is not a mark; write <!-- test: TIER -->")
    if match["tier"] not in TIERS:
        raise MarkError(f"{place}: unknown tier {match['tier']!r}; expected one of {TIERS}")
    options = dict(option.split("=", 1) for option in match["options"].split())
    if unknown := set(options) - set(OPTIONS):
        raise MarkError(f"{place}: unknown options {sorted(unknown)}; expected {OPTIONS}")
    return {"tier": match["tier"], **options}


def groups(tier: str, found: list[Block] | None = None) -> dict[str, list[Block]]:
    """Return the groups that `tier` has to run, by their ids.

    A group runs in every tier that one of its blocks belongs to. Its blocks of earlier tiers run
    too, because a slow block may need what a server block of its group has started.
    """
    found = blocks() if found is None else found
    rank = TIERS.index(tier)
    ordered = sorted(found, key=lambda block: block.group_id)  # stable: keeps the order of pages
    every = {name: list(members) for name, members in groupby(ordered, lambda b: b.group_id)}
    return {
        name: [b for b in members if b.tier in TIERS[: rank + 1]]
        for name, members in every.items()
        if any(block.tier == tier for block in members)
    }


def named(name: str) -> Block:
    """Return the block of that name.

    Raises:
        MarkError: If no block, or more than one, has it.
    """
    found = [block for block in blocks() if block.name == name]
    if len(found) != 1:
        raise MarkError(f"{len(found)} blocks are marked name={name}; expected one")
    return found[0]


def commands(block: Block) -> list[str]:
    """Return the command lines of a shell block, without comments; continued lines are joined."""
    lines = block.text.replace("\\\n", " ").splitlines()
    found = [shlex.join(shlex.split(line, comments=True)) for line in lines]
    return [line for line in found if line]


def script(members: list[Block], port: int | None = None) -> str:
    """Return one shell script that runs the blocks of a group in order.

    Args:
        members: Blocks of one group.
        port: A free port to use in place of 4200, which is Prefect's default.

    Returns:
        A script for `bash -euo pipefail`. Commands that end in "&" write to log files in $HOME.
    """
    parts = []
    for block in members:
        if block.file:
            target = shlex.quote(block.file)
            write = f"cat > {target} <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK"
            parts.append(f'mkdir -p "$(dirname {target})"\n{write}')
        elif block.language == "diff":
            apply = "git apply --recount --unidiff-zero -"
            parts.append(f"{apply} <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK")
        elif block.language == "python":
            parts.append(f"python - <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK")
        else:
            parts.append(_with_logs(block.text))
    text = "\n".join(parts) + "\n"
    return text if port is None else text.replace("4200", str(port))


def _with_logs(text: str) -> str:
    lines = []
    for line in text.splitlines():
        background = re.fullmatch(r"(.*\S)\s*&\s*(#.*)?", line)
        if background is None or background[1].endswith("&"):
            lines.append(line)
            continue
        command = background[1]
        log = re.sub(r"\W+", "-", command)
        lines.append(f'{command} >"$HOME/{log}.log" 2>&1 </dev/null &')
    return "\n".join(lines)
